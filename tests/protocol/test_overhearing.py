from __future__ import annotations

import json
from typing import Any

import pytest

from offhook.events import serialise
from offhook.protocol.overhearing import Ear

AUDIO = {
    "type": "response.output_audio.delta",
    "event_id": "event_1",
    "response_id": "resp_1",
    "item_id": "item_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "AAAA" * 1_000,
}
DONE = {"type": "response.done", "response": {"id": "resp_1"}}


@pytest.mark.parametrize("indent", [None, 1])
def test_of_audio_the_first_is_read_and_the_rest_is_counted(indent: int | None) -> None:
    ear = Ear()

    def hear(event: dict[str, Any]) -> list[dict[str, Any]]:
        return ear.hear(json.dumps(event, indent=indent))

    assert hear(AUDIO) == [AUDIO]
    assert hear({**AUDIO, "event_id": "event_2"}) == []
    assert hear({**AUDIO, "event_id": "event_3", "delta": "AAAA"}) == []
    rest, done = hear(DONE)
    assert done == DONE
    assert rest["characters"] == 4_004
    assert (rest["type"], rest["item_id"], rest["response_id"]) == (
        AUDIO["type"],
        "item_1",
        "resp_1",
    )
    assert hear(DONE) == [DONE]


def test_another_item_is_read_again() -> None:
    ear = Ear()
    ear.hear(serialise(AUDIO))
    ear.hear(serialise(AUDIO))
    other = {**AUDIO, "item_id": "item_2"}
    rest, event = ear.hear(serialise(other))
    assert (rest["item_id"], rest["characters"]) == ("item_1", 4_000)
    assert event == other
    ear.hear(serialise(other))
    [rest] = ear.end()
    assert (rest["item_id"], rest["characters"]) == ("item_2", 4_000)
    assert ear.end() == []


def test_other_events_are_read_whole() -> None:
    event = {"event_id": "e", "type": "response.created", "response": {"id": "r"}}
    assert Ear().hear(serialise(event)) == [event]
    event = {"response": {"id": "r"}, "type": "x"}
    assert Ear().hear(serialise(event)) == [event]


@pytest.mark.parametrize(
    "text",
    [
        serialise({"type": "rate_limits.updated"}),
        serialise({"type": "conversation.item.retrieved", "item": {}}),
        "",
        "{",
        "[]",
        '{"type":"response.output_audio.delta","delta":"AAAA',
    ],
)
def test_of_the_rest_there_is_nothing_to_read(text: str) -> None:
    assert Ear().hear(text) == []


def test_audio_of_no_item_is_read_each_time() -> None:
    ear = Ear()
    odd = {"type": AUDIO["type"], "delta": 1}
    assert ear.hear(serialise(odd)) == ear.hear(serialise(odd)) == [odd]
