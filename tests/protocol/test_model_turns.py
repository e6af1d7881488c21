from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from offhook.protocol.model_turns import ModelTurns

if TYPE_CHECKING:
    from offhook.protocol.entries import Entry
    from tests.protocol.driver import Event

ABC = "one two three four"


def created(response: str = "r") -> Event:
    return {"type": "response.created", "response": {"id": response}}


def said(text: str = ABC, item: str = "i", kind: str = "delta") -> Event:
    key = "transcript" if kind == "done" else "delta"
    return {
        "type": f"response.output_audio_transcript.{kind}",
        "response_id": "r",
        "item_id": item,
        key: text,
    }


def audio(ms: int, item: str = "i") -> Event:
    return {
        "type": "response.output_audio.delta",
        "response_id": "r",
        "item_id": item,
        "delta": "A" * 64 * ms,
    }


def buffer(what: str) -> Event:
    return {"type": f"output_audio_buffer.{what}", "response_id": "r"}


def cut(ms: int, item: str = "i") -> Event:
    return {
        "type": "conversation.item.truncated",
        "item_id": item,
        "content_index": 0,
        "audio_end_ms": ms,
    }


def done(status: str = "completed", response: str = "r") -> Event:
    return {"type": "response.done", "response": {"id": response, "status": status}}


def told(*events: tuple[int, Event], end: int | None = None) -> list[Entry]:
    turns = ModelTurns()
    entries = [e for at, event in events for e in turns.take(event, at, None)]
    return entries if end is None else entries + turns.end(end)


def times(entry: Entry) -> tuple[str, int, int]:
    return entry.text, entry.begins_ms, entry.ends_ms


def test_what_a_server_plays_to_its_end_is_heard_whole() -> None:
    (turn,) = told(
        (100, created()),
        (110, said("one ")),
        (120, buffer("started")),
        (130, said(ABC, kind="done")),
        (140, done()),
        (900, buffer("stopped")),
    )
    assert times(turn) == (ABC, 120, 900)
    assert turn.data == {
        "response_id": "r",
        "item_ids": ["i"],
        "modality": "audio",
        "status": "completed",
        "transcript": ABC,
    }


@pytest.mark.parametrize("cut_first", [True, False])
def test_of_what_was_interrupted_a_part_was_heard(cut_first: bool) -> None:
    ends: list[tuple[int, Event]] = [(1_120, buffer("cleared")), (1_120, cut(500))]
    turn, interruption = told(
        (100, created()),
        (110, said()),
        (115, audio(1_000)),
        (120, buffer("started")),
        (140, done()),
        *(reversed(ends) if cut_first else ends),
    )
    assert times(turn) == ("one two", 120, 1_120)
    assert turn.data["transcript"] == ABC
    assert (interruption.kind, interruption.who) == ("interruption", "caller")
    assert interruption.data == {"response_id": "r", "audio_end_ms": 500}


def test_where_nobody_says_how_much_was_heard_the_clock_does() -> None:
    turn, _ = told(
        (0, said()),
        (10, audio(1_000)),
        (100, buffer("started")),
        (600, buffer("cleared")),
        (610, done("cancelled")),
        (1_700, {"type": "another"}),
    )
    assert times(turn) == ("one two", 100, 600)


def test_the_pace_of_a_call_is_learnt_from_what_was_heard_whole() -> None:
    slow = "said so slow"  # 12 characters in 2,400 ms
    *_, turn, _ = told(
        (0, said(slow)),
        (0, buffer("started")),
        (0, done()),
        (2_400, buffer("stopped")),
        (3_000, said(ABC)),
        (3_000, buffer("started")),
        (3_000, done()),
        (4_600, buffer("cleared")),
        (4_600, cut(1_600)),
    )
    assert turn.text == "one two"


@pytest.mark.parametrize(
    ("words", "heard"),
    [
        ("1, 2, 3, 4, 5, 6, 7, 8, 9, 10", "1, 2, 3,"),
        ("一二三四五六七八九十", "一二三四五六七八"),
        ("one two three four five six seven", "one two three four five"),
    ],
)
def test_what_takes_longer_to_say_is_not_taken_for_heard(
    words: str, heard: str
) -> None:
    turn, _ = told(
        (0, said(words)),
        (0, buffer("started")),
        (0, done()),
        (1_500, buffer("cleared")),
        (1_500, cut(1_500)),
    )
    assert turn.text == heard


def test_of_several_items_those_before_the_cut_were_heard() -> None:
    turn, _ = told(
        (0, said("First.", "i")),
        (0, audio(400, "i")),
        (0, said("one two", "j")),
        (0, audio(400, "j")),
        (0, said("Never.", "k")),
        (0, buffer("started")),
        (0, done()),
        (600, buffer("cleared")),
        (600, cut(200, "j")),
    )
    assert turn.text == "First. one"


def test_over_a_websocket_audio_is_heard_from_when_it_comes() -> None:
    (turn,) = told(
        (100, said()),
        (110, audio(600)),
        (120, audio(400)),
        (130, done()),
        (1_000, {"type": "another"}),
        (2_111, {"type": "another"}),
    )
    assert times(turn) == (ABC, 110, 1_110)


def test_audio_is_as_long_as_its_format_says() -> None:
    output = {"format": {"type": "audio/pcmu"}}
    session = {"type": "session.updated", "session": {"audio": {"output": output}}}
    (turn,) = told(
        (0, session),
        (100, said()),
        (110, audio(100)),  # a sixth of the bytes
        (130, done()),
        (3_000, {"type": "another"}),
    )
    assert turn.ends_ms == 710


def test_over_a_websocket_a_truncation_is_an_interruption() -> None:
    turn, interruption = told(
        (100, said()), (110, audio(1_000)), (130, done()), (700, cut(500))
    )
    assert times(turn) == ("one two", 110, 610)
    assert interruption.data["audio_end_ms"] == 500


def test_text_is_not_heard_but_read() -> None:
    event = {"type": "response.output_text.delta", "response_id": "r", "item_id": "i"}
    (turn,) = told((100, created()), (110, {**event, "delta": "Hi"}), (130, done()))
    assert times(turn) == ("Hi", 110, 130)
    assert turn.data["modality"] == "text"


def test_an_answer_without_words_is_none() -> None:
    assert told((100, created()), (130, done())) == []


def test_an_answer_that_was_cancelled_unheard_has_no_text() -> None:
    turn, interruption = told((0, created()), (100, said()), (130, done("cancelled")))
    assert times(turn) == ("", 100, 100)
    assert turn.data["transcript"] == ABC
    assert interruption.kind == "interruption"


def test_who_hangs_up_has_heard_a_part() -> None:
    (turn,) = told(
        (0, said()), (0, audio(1_000)), (100, buffer("started")), (0, done()), end=600
    )
    assert times(turn) == ("one two", 100, 600)


def test_the_first_audio_after_the_callers_words_is_told_once() -> None:
    turns = ModelTurns()
    turns.take(created(), 1_100, 1_000)
    assert turns.sounded is None
    turns.take(buffer("started"), 1_800, 1_000)
    assert turns.sounded == 800
    turns.take(buffer("started"), 1_900, 1_000)
    assert turns.sounded is None
    turns.take(done(), 1_950, None)
    (turn,) = turns.take(buffer("stopped"), 2_500, None)
    assert turn.data["first_audio_ms"] == 800


def test_answers_and_their_parts_are_bounded() -> None:
    turns = ModelTurns()
    for number in range(1_000):
        turns.take(said("x", str(number)), number, None)
        turns.take(created(str(number)), number, None)
    left = turns.end(1_000)
    assert len(left) <= 1
