from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from offhook import Sound
from offhook.errors import InvalidRequest
from offhook.media.leg import Leg
from offhook.media.voice import PcmPath
from offhook.relay.agents import Agents
from offhook.relay.soundboard import Soundboard
from tests.media.opus import loudness, tone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offhook.events import Event

pytestmark = pytest.mark.anyio

SHORT, LONG = Sound(tone(800, 0.1)), Sound(tone(1200, 5))
START = {"type": "offhook.sound.start", "name": "music"}
STOP = {"type": "offhook.sound.stop", "name": "music"}
SOUNDS: dict[str, Any] = {
    "greeting": {"sound": SHORT, "when": "connected"},
    "hold": {"sound": LONG, "when": "waiting"},
    "music": {"sound": LONG, "under_speech": True, "control": True},
    "beep": {"sound": SHORT, "to": "both"},
}


class Side:
    """One side of a call, which hears PCM."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.leg = Leg(PcmPath(lambda ms: b"", self.heard.extend))


class Stage:
    """A soundboard, and what the caller is told."""

    def __init__(self, sounds: dict[str, Any]) -> None:
        given = {"support": {"media": "bridged", "sounds": sounds}}
        cues = Agents(given, source="agents").find("support").cues
        self.told: list[Event] = []
        self.board = Soundboard(cues, self.tell)
        self.caller, self.model = Side(), Side()
        self._news = asyncio.Event()

    def tell(self, event: Event) -> None:
        self.told.append(event)
        self._news.set()

    @property
    def said(self) -> list[str]:
        return [f"{e['type'].removeprefix('offhook.')} {e['name']}" for e in self.told]

    async def until(self, said: str) -> None:
        async with asyncio.timeout(5):
            while said not in self.said:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage(SOUNDS)
    async with stage.caller.leg, stage.model.leg:
        yield stage
        stage.board.close()


async def test_a_greeting_is_played_when_the_caller_is_there(stage: Stage) -> None:
    stage.board.open("caller", stage.caller.leg)
    assert stage.said == ["sound.started greeting"]
    assert stage.told[0]["to"] == "caller"
    await stage.until("sound.stopped greeting")
    assert stage.said == ["sound.started greeting", "sound.stopped greeting"]


async def test_one_plays_by_name_and_stops(stage: Stage) -> None:
    stage.board.open("caller", stage.caller.leg)
    playback = stage.board.play("music")
    stage.board.stop("music")
    await playback.ended()
    await stage.until("sound.stopped music")
    stage.board.stop("music")
    stage.board.stop("unknown")


async def test_both_sides_hear_what_is_for_both(stage: Stage) -> None:
    stage.board.open("caller", stage.caller.leg)
    with pytest.raises(InvalidRequest, match="not up"):
        stage.board.play("beep")
    stage.board.open("model", stage.model.leg)
    await stage.board.play("beep").ended()
    assert stage.said.count("sound.started beep") == 1
    for side in (stage.caller, stage.model):
        assert loudness(np.frombuffer(bytes(side.heard), "<i2"), 800) > 0.05


async def test_each_side_is_told_when_it_begins(stage: Stage) -> None:
    stage = Stage({"jingle": {"sound": SHORT, "when": "connected", "to": "both"}})
    async with stage.caller.leg, stage.model.leg:
        stage.board.open("caller", stage.caller.leg)
        stage.board.open("model", stage.model.leg)
        assert [event["to"] for event in stage.told] == ["caller", "model"]
        await stage.board.play("jingle").ended()
        assert stage.told[2]["to"] == "both"
        await stage.board.play("jingle", to="model").ended()
        begun = [event for event in stage.told if event["type"].endswith("started")]
        assert begun[-1]["to"] == "model"


async def test_what_begins_by_itself_where_too_much_plays_is_left_out(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.board.open("model", stage.model.leg)
    for _ in range(16):
        stage.board.play(LONG, to="model", under_speech=True)
    stage.board.open("caller", stage.caller.leg)
    assert stage.said == []
    assert "the sound 'greeting' is not played: Too many" in caplog.text


async def test_any_sound_can_be_played_and_has_no_name(stage: Stage) -> None:
    stage.board.open("model", stage.model.leg)
    await stage.board.play(SHORT, to="model").ended()
    assert stage.told == []


async def test_an_unknown_name_is_answered_with_the_known_ones(stage: Stage) -> None:
    with pytest.raises(InvalidRequest, match="but greeting, hold, music, beep"):
        stage.board.play("musik")


async def test_a_caller_starts_and_stops_what_it_may(stage: Stage) -> None:
    stage.board.open("caller", stage.caller.leg)
    stage.board.hear(START)
    assert "sound.started music" in stage.said
    stage.board.hear(STOP)
    await stage.until("sound.stopped music")


@pytest.mark.parametrize("name", ["greeting", "hold", "unknown", None, ["music"]])
async def test_nor_does_it_learn_what_there_is(stage: Stage, name: Any) -> None:
    stage.board.open("caller", stage.caller.leg)
    for event in (START, STOP):
        with pytest.raises(InvalidRequest) as refused:
            stage.board.hear({**event, "name": name})
        assert refused.value.code == "unknown_sound"
        assert "no sound of this name that you may" in refused.value.message


async def test_a_caller_that_hammers_is_stopped(stage: Stage) -> None:
    stage.board.open("caller", stage.caller.leg)
    with pytest.raises(InvalidRequest) as refused:
        for _ in range(100):
            stage.board.hear(START)
    assert refused.value.code == "too_many_sounds"
    assert len(stage.told) < 20


async def test_who_waits_for_long_hears_that_the_call_is_there(stage: Stage) -> None:
    loop = asyncio.get_running_loop()
    stage.board.open("caller", stage.caller.leg)
    began = loop.time()
    stage.board.wait(True)
    stage.board.wait(True)
    assert "sound.started hold" not in stage.said
    await stage.until("sound.started hold")
    assert loop.time() - began >= 0.99
    stage.board.wait(False)
    await stage.until("sound.stopped hold")


async def test_who_is_answered_soon_hears_nothing_but_the_answer() -> None:
    stage = Stage({"hold": SOUNDS["hold"]})
    async with stage.caller.leg:
        stage.board.open("caller", stage.caller.leg)
        stage.board.wait(True)
        stage.board.wait(False)
        await stage.board.play(Sound(tone(800, 1.2))).ended()
        assert stage.told == []


async def test_a_call_that_is_over_begins_nothing(stage: Stage) -> None:
    stage.board.open("caller", stage.caller.leg)
    stage.board.wait(True)
    stage.board.close()
    with pytest.raises(InvalidRequest, match="not up"):
        stage.board.play("music")
