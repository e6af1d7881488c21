from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest

from offhook.errors import InvalidRequest
from offhook.protocol.conversation import Conversation, turns
from offhook.protocol.effects import Listen, Outbox, Recognise, Send
from offhook.protocol.hearing import Hearing
from offhook.protocol.prompt import Turn
from offhook.protocol.session_config import effective
from offhook.protocol.turns import SpeechStopped
from tests.protocol.driver import SECOND, Event, kinds

AUDIO_INPUT = effective("sess_1", expires_at=0, model=None)["audio"]["input"]


class Ear:
    """A hearing with a caller in front of it."""

    def __init__(self, **audio_input: Any) -> None:
        numbers = itertools.count(1)
        self.outbox = Outbox(lambda prefix: f"{prefix}_{next(numbers)}")
        self.conversation = Conversation("conv_1")
        self.hearing = Hearing(self.outbox, self.conversation)
        self.configure(**audio_input)
        self.tries: list[Recognise] = []
        self._ms = 0

    def configure(self, **audio_input: Any) -> None:
        self.hearing.configure({**copy.deepcopy(AUDIO_INPUT), **audio_input})

    def voice(self, ms: int, probability: float = 1.0) -> list[Event]:
        for _ in range(ms // 32):
            self._ms += 32
            self.hearing.append(bytes(32 * 48))
            self.hearing.notice(self._ms, probability)
        return self.drain()

    def silence(self, ms: int) -> list[Event]:
        return self.voice(ms, 0.0)

    def drain(self) -> list[Event]:
        effects = self.outbox.drain()
        self.tries += [e for e in effects if isinstance(e, Recognise)]
        return [e.event for e in effects if isinstance(e, Send)]


def test_everything_that_comes_in_is_listened_to() -> None:
    ear = Ear()
    ear.hearing.append(b"\1\0")
    assert ear.outbox.drain() == [Listen(b"\1\0")]


def test_while_nobody_speaks_little_is_kept() -> None:
    ear = Ear()
    ear.silence(60_000)
    ear.hearing.commit()
    ear.drain()
    assert len(ear.tries[-1].pcm) <= (300 + 200 + 32) * 48


def test_without_detection_everything_is_kept() -> None:
    ear = Ear(turn_detection=None)
    assert ear.voice(960) == []
    ear.hearing.commit()
    ear.drain()
    assert [len(turn.pcm) for turn in ear.tries] == [960 * 48]


def test_the_same_detection_again_does_not_disturb_a_turn() -> None:
    ear = Ear()
    ear.voice(320)
    ear.configure(transcription={"model": "x"})
    assert "input_audio_buffer.committed" in kinds(ear.silence(640))


def test_another_detection_goes_on_with_the_turn() -> None:
    ear = Ear()
    [started] = ear.voice(320)
    detection = {**AUDIO_INPUT["turn_detection"], "silence_duration_ms": 200}
    ear.configure(turn_detection=detection)
    stopped = ear.silence(320)[0]
    assert stopped["type"] == "input_audio_buffer.speech_stopped"
    assert stopped["item_id"] == started["item_id"]
    assert stopped["audio_end_ms"] <= 320 + 200 + 64


def test_without_detection_an_open_turn_ends() -> None:
    ear = Ear()
    [started] = ear.voice(320)
    ear.configure(turn_detection=None)
    stopped, committed, *_ = ear.drain()
    assert stopped["type"] == "input_audio_buffer.speech_stopped"
    assert committed["type"] == "input_audio_buffer.committed"
    assert stopped["item_id"] == committed["item_id"] == started["item_id"]
    assert ear.silence(640) == []


@pytest.mark.parametrize(
    ("eagerness", "complete", "pause_ms"),
    [
        ("high", True, 400),
        ("auto", True, 700),
        ("medium", True, 700),
        ("low", True, 1200),
        ("high", False, 2000),
        ("auto", False, 4000),
        ("medium", False, 4000),
        ("low", False, 8000),
    ],
)
def test_the_eager_wait_less_and_all_wait_for_the_rest_of_a_sentence(
    eagerness: str, complete: bool, pause_ms: int
) -> None:
    ear = Ear(turn_detection={"type": "semantic_vad", "eagerness": eagerness})
    ear.voice(320)
    assert ear.silence(224) == []
    [asked] = ear.tries
    assert asked.judge
    ear.hearing.heard(asked.item_id, asked.attempt, "One", complete=complete)
    assert ear.silence(pause_ms - 224 - 32) == []
    assert kinds(ear.silence(64))[0] == "input_audio_buffer.speech_stopped"


def test_who_sends_no_more_is_answered_when_the_words_are_there() -> None:
    ear = Ear(turn_detection={"type": "semantic_vad", "eagerness": "auto"})
    ear.voice(320)
    assert ear.silence(1920) == []
    [asked] = ear.tries
    turn = ear.hearing.heard(asked.item_id, asked.attempt, "One", complete=True)
    assert turn == SpeechStopped(320 + 1920)
    assert kinds(ear.drain())[:2] == [
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
    ]
    assert turns(ear.conversation) == (Turn("user", "One"),)


def test_of_a_long_turn_only_the_end_is_judged() -> None:
    ear = Ear(turn_detection={"type": "semantic_vad", "eagerness": "auto"})
    ear.voice(9600)
    ear.silence(224)
    [asked] = ear.tries
    assert len(asked.pcm) == 6000 * 48
    ear.hearing.heard(asked.item_id, asked.attempt, "the end", complete=True)
    ear.silence(640)
    _, whole = ear.tries
    assert (whole.item_id, whole.judge) == (asked.item_id, False)
    assert len(whole.pcm) > 9600 * 48
    ear.hearing.heard(whole.item_id, whole.attempt, "all of it")
    assert turns(ear.conversation) == (Turn("user", "all of it"),)


IDLE = {**AUDIO_INPUT["turn_detection"], "idle_timeout_ms": 5000}


def test_a_silence_that_lasts_is_a_turn() -> None:
    ear = Ear(turn_detection=IDLE)
    ear.silence(960)
    assert not ear.hearing.idle(960, quiet=True)
    ear.silence(4992)
    assert not ear.hearing.idle(5952, quiet=True)
    ear.silence(64)
    assert ear.hearing.idle(6016, quiet=True)
    events = ear.drain()
    assert kinds(events) == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    triggered, committed = events[:2]
    assert triggered["audio_start_ms"] == 960
    assert triggered["audio_end_ms"] == 6016
    assert triggered["item_id"] == committed["item_id"]
    assert len(ear.tries[-1].pcm) == (6016 - 960) * 48
    # And the next one is counted from its own beginning.
    assert not ear.hearing.idle(6048, quiet=True)


@pytest.mark.parametrize("meanwhile", ["an answer", "speech"])
def test_a_silence_begins_anew_after(meanwhile: str) -> None:
    ear = Ear(turn_detection=IDLE)
    ear.silence(960)
    assert not ear.hearing.idle(960, quiet=True)
    if meanwhile == "speech":
        ear.voice(320)
    assert not ear.hearing.idle(4000, quiet=meanwhile == "speech")
    if meanwhile == "speech":
        ear.silence(640)
        turn = ear.tries[-1]
        ear.hearing.heard(turn.item_id, turn.attempt, "Hi")
    assert not ear.hearing.idle(6000, quiet=True)
    assert not ear.hearing.idle(10_999, quiet=True)
    assert ear.hearing.idle(11_000, quiet=True)


def test_nobody_counts_the_silence_unasked() -> None:
    ear = Ear()
    assert not ear.hearing.idle(0, quiet=True)
    assert not ear.hearing.idle(60_000, quiet=True)


def test_speech_put_into_the_conversation_is_written_down_in_silence() -> None:
    ear = Ear(transcription={"model": "gpt-transcribe"})
    ear.conversation.add(
        {
            "id": "item_9",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
    )
    ear.hearing.write_down("item_9", SECOND)
    assert ear.drain() == []
    [asked] = ear.tries
    assert ear.hearing.pending.keys() == {"item_9"}
    ear.hearing.heard("item_9", asked.attempt, "Hello")
    assert ear.drain() == []
    assert turns(ear.conversation) == (Turn("user", "Hello"),)


def test_a_commit_ends_the_turn_and_the_next_is_another() -> None:
    ear = Ear()
    [started] = ear.voice(320)
    ear.hearing.commit()
    committed = ear.drain()[0]
    assert committed["item_id"] == started["item_id"]
    assert ear.silence(640) == []
    [again] = ear.voice(320)
    assert again["item_id"] != started["item_id"]


def test_what_is_cleared_is_not_committed_later() -> None:
    ear = Ear()
    ear.voice(320)
    ear.hearing.clear()
    assert kinds(ear.drain()) == ["input_audio_buffer.cleared"]
    assert ear.silence(640) == []
    ear.hearing.clear()
    with pytest.raises(InvalidRequest, match=r"buffer only has 0\.00ms"):
        ear.hearing.commit()


def test_the_time_of_all_turns_adds_up() -> None:
    ear = Ear(turn_detection=None)
    for count in (1, 2):
        ear.hearing.append(SECOND)
        ear.hearing.commit()
        assert ear.hearing.heard_ms == count * 1000


def test_words_are_kept_even_where_nobody_asked_to_see_them() -> None:
    ear = Ear(turn_detection=None)
    ear.hearing.append(SECOND)
    ear.hearing.commit()
    ear.drain()
    [turn] = ear.tries
    assert list(ear.hearing.pending) == [turn.item_id]
    ear.hearing.heard(turn.item_id, turn.attempt, "Hi")
    assert ear.drain() == []
    assert turns(ear.conversation) == (Turn("user", "Hi"),)
    assert not ear.hearing.pending


@pytest.mark.parametrize("understood", [True, False])
def test_words_of_an_item_that_was_deleted_are_dropped(understood: bool) -> None:
    ear = Ear(turn_detection=None, transcription={"model": "x"})
    ear.hearing.append(SECOND)
    ear.hearing.commit()
    ear.drain()
    [turn] = ear.tries
    ear.conversation.delete(turn.item_id)
    if understood:
        ear.hearing.heard(turn.item_id, turn.attempt, "Hi")
    else:
        ear.hearing.unheard(turn.item_id, turn.attempt, "no")
    assert ear.drain() == []
    assert not ear.hearing.pending


def test_words_for_nobody_are_ignored() -> None:
    ear = Ear(transcription={"model": "x"})
    ear.hearing.heard("item_0", 1, "Hi")
    ear.hearing.unheard("item_0", 1, "no")
    assert ear.drain() == []


def test_silence_is_a_transcript_without_words() -> None:
    ear = Ear(turn_detection=None, transcription={"model": "x"})
    ear.hearing.append(SECOND)
    ear.hearing.commit()
    ear.drain()
    [turn] = ear.tries
    ear.hearing.heard(turn.item_id, turn.attempt, "")
    [event] = ear.drain()
    assert event["type"].endswith("transcription.completed")
    assert event["usage"] == {"type": "duration", "seconds": 1.0}
