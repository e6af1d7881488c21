from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from offhook.media.player import Levels, Player
from offhook.media.sounds import Sound
from offhook.protocol.rtp import Packet
from tests.media.opus import decoded, encoded, loudness, tone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

BEEP, HUM = Sound(tone(800, 0.1)), Sound(tone(1200, 0.1, 0.1))
WORDS = encoded(tone(440, 1))
LEVELS = Levels()


class Ear:
    """Keeps what a player sends, its own and what it passes on."""

    def __init__(self) -> None:
        self.emitted: list[bytes] = []
        self.followed: list[bytes] = []
        self.turns = 0
        self.player = Player(self.follow, self.emit, self.leave)
        self._number = 0
        self._news = asyncio.Event()

    def follow(self, packet: Packet, now: float) -> None:
        self.followed.append(packet.payload)
        self._news.set()

    def emit(self, payload: bytes, now: float) -> None:
        self.emitted.append(payload)
        self._news.set()

    def leave(self) -> None:
        self.turns += 1

    def say(self, *payloads: bytes) -> None:
        now = asyncio.get_running_loop().time()
        for payload in payloads:
            self._number += 1
            packet = Packet(111, False, self._number, 960 * self._number, 7, payload)
            self.player.hear(packet, now)

    async def until(self, emitted: int = 0, followed: int = 0) -> None:
        async with asyncio.timeout(5):
            while len(self.emitted) < emitted or len(self.followed) < followed:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    ear = Ear()
    yield ear
    await ear.player.close()


async def test_speech_passes_as_it_comes(ear: Ear) -> None:
    ear.say(*WORDS[:3])
    assert ear.followed == WORDS[:3]


async def test_speech_waits_for_the_end_of_a_sound(ear: Ear) -> None:
    playback = ear.player.play(BEEP, LEVELS, under_speech=False, loop=False)
    assert ear.player.alone
    ear.say(*WORDS[:3])
    assert ear.followed == []
    await playback.ended()
    assert not ear.player.alone
    assert ear.emitted == list(BEEP.packets)
    await ear.until(followed=3)
    assert ear.followed == WORDS[:3]


async def test_speech_waits_on_while_sound_follows_sound(ear: Ear) -> None:
    ear.player.play(BEEP, LEVELS, under_speech=False, loop=False)
    ear.say(*WORDS[:3])
    playback = ear.player.play(BEEP, LEVELS, under_speech=False, loop=False)
    assert ear.followed == []
    await playback.ended()
    await ear.until(followed=3)
    assert ear.followed == WORDS[:3]


async def test_nobody_waits_for_what_has_no_end(ear: Ear) -> None:
    playback = ear.player.play(BEEP, LEVELS, under_speech=False, loop=True)
    ear.say(*WORDS[:3])
    playback.stop()
    ear.say(WORDS[3])
    assert ear.followed == [WORDS[3]]
    # Nor for what waited when it began.
    ear.player.play(BEEP, LEVELS, under_speech=False, loop=False)
    ear.say(WORDS[4])
    ear.player.play(BEEP, LEVELS, under_speech=False, loop=True).stop()
    ear.say(WORDS[5])
    assert ear.followed == [WORDS[3], WORDS[5]]


@pytest.mark.parametrize("under_speech", [True, False])
async def test_nothing_begins_after_the_end(ear: Ear, under_speech: bool) -> None:
    await ear.player.close()
    how = {"under_speech": under_speech, "loop": True}
    await ear.player.play(BEEP, LEVELS, **how).ended()
    assert ear.emitted == []


async def test_what_waited_is_heard_with_what_is_under_speech(ear: Ear) -> None:
    ear.player.play(HUM, LEVELS, under_speech=True, loop=True)
    playback = ear.player.play(BEEP, LEVELS, under_speech=False, loop=False)
    ear.say(*WORDS[:10])
    await playback.ended()
    count = len(ear.emitted)
    await ear.until(emitted=count + 12)
    assert ear.followed == []
    heard = decoded(ear.emitted[count:])
    assert loudness(heard[1920:4800], 440) > 0.1


async def test_a_sound_alone_has_its_level(ear: Ear) -> None:
    quiet = Levels(gain_db=-6)
    playback = ear.player.play(BEEP, quiet, under_speech=False, loop=False)
    await playback.ended()
    heard = decoded(ear.emitted)
    assert loudness(heard[480:], 800) == pytest.approx(0.125, rel=0.1)


async def test_closing_ends_everything(ear: Ear) -> None:
    playing = [
        ear.player.play(HUM, LEVELS, under_speech=under, loop=True)
        for under in (True, True, False)
    ]
    await ear.player.close()
    async with asyncio.timeout(1):
        for playback in playing:
            await playback.ended()
