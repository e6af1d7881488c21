from __future__ import annotations

import json

import pytest

from offhook.events import serialise
from offhook.protocol.overhearing import overheard

AUDIO = {
    "type": "response.output_audio.delta",
    "event_id": "event_1",
    "response_id": "resp_1",
    "item_id": "item_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "AAAA" * 1_000,
}


def other_order() -> str:
    return json.dumps(
        {"event_id": "event_1", "type": AUDIO["type"], "delta": AUDIO["delta"]}
        | {"item_id": "item_1", "response_id": "resp_1"}
    )


@pytest.mark.parametrize(
    "text", [serialise(AUDIO), json.dumps(AUDIO, indent=1), other_order()]
)
def test_audio_is_taken_with_what_it_is_of(text: str) -> None:
    wanted = ("type", "response_id", "item_id", "delta")
    assert overheard(text) == {key: AUDIO[key] for key in wanted}


def test_other_events_are_read_whole() -> None:
    event = {"event_id": "e", "type": "response.created", "response": {"id": "r"}}
    assert overheard(serialise(event)) == event
    assert overheard(json.dumps({"response": {"id": "r"}, "type": "x"})) is not None


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
    assert overheard(text) is None
