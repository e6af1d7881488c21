"""The checkers themselves: that they find what they are there to find."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from tests.javascript import misread
from tests.official import SEEN, problems
from tests.official_order import disorder
from tests.protocol.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Callable

    Events = list[dict[str, Any]]


def at(events: Events, kind: str, nth: int = 0) -> int:
    return [i for i, event in enumerate(events) if event["type"] == kind][nth]


@pytest.fixture(scope="module")
def record() -> Events:
    """A spoken turn, a written one that is cut short, and one beside them."""
    driver = Driver()
    driver.endpoint.open()
    driver.update(audio={"input": {"transcription": {"model": "x"}}})
    driver.voice()
    driver.silence()
    driver.heard("Hello?")
    driver.answer("Hello there.")
    content = [{"type": "input_text", "text": "Go on."}]
    item = {"type": "message", "role": "user", "content": content}
    driver.receive("conversation.item.create", item=item)
    driver.receive("response.create", response={"output_modalities": ["text"]})
    driver.answer("Well, ", b"", finish=False)
    driver.receive("response.cancel")
    driver.receive("response.create", response={"conversation": "none"})
    driver.answer("Beside.")
    return driver.sent


def test_a_record_of_the_endpoint_is_in_order(record: Events) -> None:
    assert disorder(record, settled=True) == []
    # Whoever comes late, or leaves early, finds no fault either.
    for cut in range(len(record)):
        assert disorder(record[cut:]) == []
        assert disorder(record[:cut]) == []


def test_every_event_that_goes_missing_is_missed(record: Events) -> None:
    # What may be there or not: a client may commit a turn before it stops.
    free = {
        "session.updated",
        "rate_limits.updated",
        "response.output_audio.delta",
        "input_audio_buffer.speech_stopped",
        "conversation.item.input_audio_transcription.delta",
    }
    for index, event in enumerate(record[1:], 1):
        if event["type"] not in free:
            cut = record[:index] + record[index + 1 :]
            assert disorder(cut, settled=True), event["type"]


def test_every_event_that_comes_twice_is_noticed(record: Events) -> None:
    free = {"session.updated", "response.output_audio.delta"}
    for index, event in enumerate(record):
        if event["type"] not in free:
            again = {**event, "event_id": "event_again"}
            twice = [*record[: index + 1], again, *record[index + 1 :]]
            assert disorder(twice, settled=True), event["type"]
    assert "was there before" in disorder([*record, record[-1]])[0]


def test_neighbours_do_not_change_places(record: Events) -> None:
    for index in range(len(record) - 1):
        first, second = record[index : index + 2]
        if not independent(first["type"], second["type"]):
            swapped = [*record[:index], second, first, *record[index + 2 :]]
            assert disorder(swapped, settled=True), (first["type"], second["type"])


def independent(first: str, second: str) -> bool:
    """Whether it is nobody's business which of two neighbours comes first."""
    words = "conversation.item.input_audio_transcription"
    return (
        {first, second} & {"session.updated", "rate_limits.updated"} != set()
        or (first.endswith(".delta") and second.endswith(".delta"))
        or first.startswith(words) != second.startswith(words)
        or (first, second) == ("conversation.item.done", "response.created")
    )


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("response.output_item.added", {"output_index": 1}),
        ("response.content_part.added", {"content_index": 1}),
        ("response.output_audio_transcript.delta", {"item_id": "item_other"}),
        ("response.output_audio_transcript.delta", {"response_id": "resp_other"}),
        ("response.output_audio_transcript.done", {"transcript": "Other."}),
        ("response.output_text.done", {"text": "Other."}),
        ("conversation.item.added", {"previous_item_id": "item_other"}),
        ("input_audio_buffer.committed", {"item_id": "item_other"}),
        ("input_audio_buffer.speech_stopped", {"audio_end_ms": -1}),
        (
            "conversation.item.input_audio_transcription.completed",
            {"transcript": "Other."},
        ),
    ],
)
def test_what_does_not_agree_is_found(
    record: Events, kind: str, change: dict[str, Any]
) -> None:
    index = at(record, kind)
    changed = [*record[:index], {**record[index], **change}, *record[index + 1 :]]
    assert disorder(changed, settled=True)


def test_what_stays_open_is_found_once_all_is_quiet(record: Events) -> None:
    for kind in ("response.created", "input_audio_buffer.committed"):
        cut = record[: at(record, kind) + 1]
        assert disorder(cut) == []
        assert disorder(cut, settled=True)


def no_status(event: dict[str, Any]) -> None:
    event["item"]["status"] = None


def no_part_text(event: dict[str, Any]) -> None:
    event["part"]["transcript"] = None


def no_transcript(event: dict[str, Any]) -> None:
    del event["item"]["content"][0]["transcript"]


def no_tokens(event: dict[str, Any]) -> None:
    event["response"]["usage"]["input_tokens"] = None


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("conversation.item.added", no_status),
        ("conversation.item.added", no_transcript),
        ("response.content_part.added", no_part_text),
        ("response.done", no_tokens),
    ],
)
def test_javascript_finds_what_it_cannot_read(
    record: Events, kind: str, spoil: Callable[[dict[str, Any]], None]
) -> None:
    event = copy.deepcopy(record[at(record, kind)])
    assert misread([event]) == []
    spoil(event)
    assert [found["type"] for found in misread([event])] == [kind]


def test_one_event_of_each_shape_is_remembered(record: Events) -> None:
    deltas = [e for e in record if e["type"] == "response.output_audio.delta"]
    assert len(deltas) > 1
    assert problems(deltas[0]) == []
    count = len(SEEN)
    for event in deltas[1:]:
        assert problems(event) == []
    assert len(SEEN) == count
    kept = [e for e in SEEN.values() if e["type"] == "response.output_audio.delta"]
    assert len(kept[0]["delta"]) < len(deltas[0]["delta"])
