from __future__ import annotations

import pytest

from offhook.protocol.playback import AudioPart
from offhook.protocol.spoken import SpokenPart


def added(response: str = "resp_1", item: str = "item_1") -> dict[str, object]:
    return {
        "type": "response.content_part.added",
        "response_id": response,
        "item_id": item,
        "content_index": 0,
        "part": {"type": "audio", "transcript": ""},
    }


def buffer(moment: str, response: str = "resp_1") -> dict[str, object]:
    return {"type": f"output_audio_buffer.{moment}", "response_id": response}


def done(status: str, response: str = "resp_1") -> dict[str, object]:
    return {"type": "response.done", "response": {"id": response, "status": status}}


FIRST = AudioPart("resp_1", "item_1", 0)


def after(*events: dict[str, object]) -> AudioPart | None:
    spoken = SpokenPart()
    for event in events:
        spoken.take(event)
    return spoken.part


@pytest.mark.parametrize("moment", ["stopped", "cleared"])
def test_a_part_is_heard_until_the_server_has_played_it(moment: str) -> None:
    events = [added(), done("completed"), buffer("started")]
    assert after() is None
    assert after(*events[:1]) == after(*events[:2]) == after(*events) == FIRST
    assert after(*events, buffer(moment)) is None
    assert after(*events, {"type": f"output_audio_buffer.{moment}"}) is None


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_of_what_ends_before_it_began_nothing_is_heard(status: str) -> None:
    assert after(added(), done(status)) is None
    assert after(added(), buffer("started"), done(status)) == FIRST
    assert after(added(), done(status, "resp_2")) == FIRST


def test_the_next_answer_is_not_ended_by_the_last_ones_end() -> None:
    events = (added(), buffer("started"), added("resp_2", "item_2"), buffer("stopped"))
    assert after(*events) == AudioPart("resp_2", "item_2", 0)


@pytest.mark.parametrize(
    "event",
    [
        {**added(), "part": {"type": "text"}},
        {**added(), "part": None},
        {**added(), "item_id": None},
        {"type": "response.content_part.added"},
        {"type": "no.such.event"},
    ],
)
def test_other_events_say_nothing(event: dict[str, object]) -> None:
    assert after(event) is None


def test_a_new_call_begins_in_silence() -> None:
    spoken = SpokenPart()
    spoken.take(added())
    spoken.reset()
    assert spoken.part is None
