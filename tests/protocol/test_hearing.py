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


def test_another_detection_begins_anew() -> None:
    ear = Ear()
    ear.voice(320)
    detection = {**AUDIO_INPUT["turn_detection"], "silence_duration_ms": 200}
    ear.configure(turn_detection=detection)
    assert ear.silence(640) == []


@pytest.mark.parametrize(
    ("eagerness", "pause_ms"),
    [("high", 400), ("auto", 700), ("medium", 700), ("low", 1200)],
)
def test_the_eager_wait_less(eagerness: str, pause_ms: int) -> None:
    ear = Ear(turn_detection={"type": "semantic_vad", "eagerness": eagerness})
    ear.voice(320)
    assert ear.silence(pause_ms - 32) == []
    assert kinds(ear.silence(64))[0] == "input_audio_buffer.speech_stopped"


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
