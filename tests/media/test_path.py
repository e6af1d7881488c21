"""What every leg does, whatever leads to its far end."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pytest

from offhook.media.leg import Leg, couple
from offhook.media.sounds import Sound
from offhook.media.voice import PcmPath
from offhook.protocol.rtp import FRAME, Packet, ahead, later
from tests.media.legs import Far, far_end
from tests.media.opus import decoded, encoded, loudness, tone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from numpy.typing import NDArray

    from offhook.media.path import PacketPath

    Open = Callable[[], AbstractAsyncContextManager["End"]]

pytestmark = pytest.mark.anyio

HUM = Sound(tone(1200, 1, 0.1))
VOICE = tone(440, 0.5)


class End(Protocol):
    """Somebody at the far end of a leg, who speaks and hears."""

    @property
    def path(self) -> PacketPath:
        """The way to them."""

    @property
    def heard(self) -> NDArray[np.int16]:
        """What came until now."""

    async def say(self, pcm: bytes) -> None:
        """Say something in real time."""

    async def until(self, seconds: float) -> None:
        """Wait until so much has come."""


class Connected:
    """Somebody who is connected, and encodes as a browser does."""

    def __init__(self, far: Far, path: PacketPath) -> None:
        self.path = path
        self._far = far

    @property
    def heard(self) -> NDArray[np.int16]:
        return decoded(self._far.payloads)

    async def say(self, pcm: bytes) -> None:
        await self._far.say_all(encoded(pcm))

    async def until(self, seconds: float) -> None:
        await self._far.until(lambda: len(self._far.heard) >= 50 * seconds)


class Spoken:
    """Somebody whose voice is PCM."""

    def __init__(self) -> None:
        self.path = PcmPath(self._pull, self._hear)
        self._saying = self._heard = b""
        self._news = asyncio.Event()

    @property
    def heard(self) -> NDArray[np.int16]:
        return np.frombuffer(self._heard, "<i2")

    async def say(self, pcm: bytes) -> None:
        self._saying = pcm
        await self._wait(lambda: not self._saying)

    async def until(self, seconds: float) -> None:
        await self._wait(lambda: len(self._heard) >= 48000 * seconds)

    async def _wait(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def _pull(self, ms: int) -> bytes:
        pcm, self._saying = self._saying[: 48 * ms], self._saying[48 * ms :]
        self._news.set()
        return pcm

    def _hear(self, pcm: bytes) -> None:
        self._heard += pcm
        self._news.set()


@asynccontextmanager
async def connected() -> AsyncIterator[End]:
    async with far_end() as (far, path):
        yield Connected(far, path)


@asynccontextmanager
async def spoken() -> AsyncIterator[End]:
    yield Spoken()


@pytest.fixture(params=[connected, spoken])
async def end(request: pytest.FixtureRequest) -> AsyncIterator[End]:
    opened: Open = request.param
    async with opened() as made:
        yield made


@asynccontextmanager
async def call(end: End) -> AsyncIterator[tuple[Leg, Leg, Connected]]:
    """A call of that end and a caller: their legs, and the caller."""
    async with (
        far_end() as (far, path),
        Leg(end.path) as leg,
        Leg(path) as other,
    ):
        couple(leg, other)
        yield leg, other, Connected(far, path)


async def test_what_is_said_is_heard_at_the_other_side(end: End) -> None:
    async with call(end) as (_, _, caller):
        await asyncio.gather(end.say(VOICE), caller.say(VOICE))
        await asyncio.gather(end.until(0.5), caller.until(0.5))
    for heard in (end.heard, caller.heard):
        assert loudness(heard[2400:10800], 440) == pytest.approx(0.25, rel=0.1)


async def test_taps_hear_what_is_said_and_what_is_heard(end: End) -> None:
    said: list[Packet] = []
    heard: list[Packet] = []
    times: list[float] = []

    def hear(packet: Packet, now: float) -> None:
        said.append(packet)
        times.append(now)

    async with call(end) as (leg, _, caller):
        before = asyncio.get_running_loop().time()
        stop = leg.tap_said(hear)
        leg.tap_heard(lambda packet, now: heard.append(packet))
        await asyncio.gather(end.say(VOICE), caller.say(VOICE))
        await end.until(0.5)
        stop()
        count = len(said)
        await end.say(VOICE)
        after = asyncio.get_running_loop().time()
    assert len(said) == count >= 24
    assert len(heard) == 25
    assert loudness(decoded(p.payload for p in said)[2400:9600], 440) > 0.2
    assert loudness(decoded(p.payload for p in heard)[2400:9600], 440) > 0.2
    assert times == sorted(times)
    assert before - 0.1 < times[0] and times[-1] < after
    assert len({packet.ssrc for packet in said}) == 1
    for one, two in pairwise(said):
        assert ahead(two.sequence_number, one.sequence_number) == 1
        assert later(two.timestamp, one.timestamp) == FRAME


async def test_a_sound_is_heard_by_one_side_and_not_by_the_other(end: End) -> None:
    async with call(end) as (leg, _, caller):
        assert leg.listens
        playback = leg.play(HUM)
        assert not leg.listens
        await caller.say(VOICE)
        await playback.ended()
        assert leg.listens
        heard = end.heard
        assert loudness(heard[2400:21600], 1200) == pytest.approx(0.1, rel=0.1)
        assert loudness(heard[2400:21600], 440) < 0.01
        if len(caller.heard):
            assert abs(caller.heard).max() < 50


async def test_a_sound_under_speech_is_heard_with_it(end: End) -> None:
    async with call(end) as (leg, _, caller):
        playback = leg.play(HUM, under_speech=True, loop=True, duck_db=0)
        assert leg.listens
        await caller.say(VOICE)
        await end.until(0.5)
        heard = end.heard[2400:10800]
        assert loudness(heard, 440) == pytest.approx(0.25, rel=0.1)
        assert loudness(heard, 1200) == pytest.approx(0.1, rel=0.1)
        playback.stop()
        await playback.ended()


async def test_who_follows_nobody_hears_nothing(end: End) -> None:
    async with call(end) as (leg, _, caller):
        leg.follow(None)
        assert not leg.listens
        await caller.say(VOICE[:9600])
        await leg.play(Sound(tone(1200, 0.2))).ended()
        await end.until(0.2)
        assert loudness(end.heard[:4800], 440) < 0.01


async def test_what_has_happened_is_counted(end: End) -> None:
    async with call(end) as (leg, _, caller):
        await asyncio.gather(end.say(VOICE), caller.say(VOICE))
        await end.until(0.5)
        statistics = await leg.statistics()
    assert statistics.packets_received >= 24
    assert statistics.packets_sent == 25
    assert (statistics.packets_lost, statistics.dropped) == (0, 0)
    assert statistics.jitter_s < 0.1


async def test_a_leg_that_is_left_is_silent_and_can_be_made_again(end: End) -> None:
    tasks = asyncio.all_tasks()
    said: list[Packet] = []
    for _ in range(2):
        async with Leg(end.path) as leg:
            playback = leg.play(HUM, loop=True)
            leg.tap_said(lambda packet, now: said.append(packet))
            await asyncio.gather(end.say(VOICE[:9600]), end.until(0.2))
        await playback.ended()
        assert asyncio.all_tasks() == tasks
        assert said
        count = len(said)
        said.clear()
        # Nothing comes from a leg that was left.
        await asyncio.get_running_loop().run_in_executor(None, int)
        assert count and not said
