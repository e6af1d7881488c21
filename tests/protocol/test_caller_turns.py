from __future__ import annotations

from typing import TYPE_CHECKING

from offhook.protocol.caller_turns import CallerTurns
from offhook.protocol.entries import Entry

if TYPE_CHECKING:
    from tests.protocol.driver import Event

TRANSCRIPTION = "conversation.item.input_audio_transcription"


def started(item_id: str = "a", ms: int = 700) -> Event:
    return {
        "type": "input_audio_buffer.speech_started",
        "item_id": item_id,
        "audio_start_ms": ms,
    }


def stopped(item_id: str = "a", ms: int = 2500) -> Event:
    return {
        "type": "input_audio_buffer.speech_stopped",
        "item_id": item_id,
        "audio_end_ms": ms,
    }


def completed(item_id: str = "a", said: str = "Hello.") -> Event:
    return {
        "type": f"{TRANSCRIPTION}.completed",
        "item_id": item_id,
        "transcript": said,
    }


def detection(silence: int = 500, padding: int = 300) -> Event:
    found = {"silence_duration_ms": silence, "prefix_padding_ms": padding}
    session = {"audio": {"input": {"turn_detection": {"type": "server_vad", **found}}}}
    return {"type": "session.updated", "session": session}


def spoken(item_id: str, begins: int, ends: int, text: str) -> Entry:
    data = {"item_id": item_id, "modality": "audio"}
    return Entry("turn", "caller", begins, ends, text, data)


def test_a_turn_is_whole_with_its_transcript() -> None:
    turns = CallerTurns()
    assert turns.take(started(), 6_050) == []
    assert turns.take(stopped(), 7_520) == []
    assert turns.take(completed(), 8_000) == [spoken("a", 5_720, 7_520, "Hello.")]
    assert turns.end(9_000) == []


def test_the_silence_after_a_turn_and_the_padding_before_it_are_no_part_of_it() -> None:
    turns = CallerTurns()
    turns.take(detection(), 0)
    turns.take(started(), 6_050)
    turns.take(stopped(), 7_520)
    assert turns.take(completed(), 8_000) == [spoken("a", 6_020, 7_020, "Hello.")]
    assert turns.ended_ms == 7_020


def test_without_the_servers_count_the_events_times_count() -> None:
    turns = CallerTurns()
    for kind, at in (("speech_started", 100), ("speech_stopped", 900)):
        turns.take({"type": f"input_audio_buffer.{kind}", "item_id": "a"}, at)
    assert turns.take(completed(), 950) == [spoken("a", 100, 900, "Hello.")]


def test_push_to_talk_has_the_time_of_its_commit() -> None:
    turns = CallerTurns()
    turns.take({"type": "input_audio_buffer.committed", "item_id": "a"}, 700)
    assert turns.ended_ms == 700
    assert turns.take(completed(), 950) == [spoken("a", 700, 700, "Hello.")]


def test_speech_that_goes_on_has_not_ended() -> None:
    turns = CallerTurns()
    turns.take(started(), 100)
    turns.take(stopped(), 900)
    turns.take(started("b"), 1_000)
    assert turns.ended_ms is None


def test_an_unheard_turn_says_so() -> None:
    turns = CallerTurns()
    turns.take(started(), 100)
    turns.take(stopped(), 900)
    failed = {"type": f"{TRANSCRIPTION}.failed", "item_id": "a"}
    (told,) = turns.take(failed, 950)
    assert (told.text, told.data["transcription"]) == ("", "failed")


def test_who_still_speaks_in_the_end_spoke_until_then() -> None:
    turns = CallerTurns()
    turns.take(started(), 100)
    assert turns.end(900) == [spoken("a", 100, 900, "")]


def test_turns_that_wait_for_a_transcript_are_bounded() -> None:
    turns = CallerTurns()
    told = [turns.take(started(str(n)), n) for n in range(100)]
    assert sum(map(len, told)) == 68
    assert told[32][0].data["item_id"] == "0"


def test_a_transcript_of_nothing_is_nothing() -> None:
    assert CallerTurns().take(completed(), 10) == []
