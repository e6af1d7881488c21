from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from offhook.media import voice
from offhook.media.codec import Encoder
from offhook.media.voice import PcmPath
from offhook.protocol import rtp
from tests.media.opus import clicks, decoded, encoded, loudness, roughness, tone

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

SILENT = Encoder().encode(bytes(960))


class Told:
    """What a path says and hears, and what is to be said."""

    def __init__(self, saying: bytes = b"") -> None:
        self.saying = saying
        self.pulls = 0
        self.said: list[rtp.Packet] = []
        self.times: list[float] = []
        self.heard: list[bytes] = []
        self._news = asyncio.Event()
        self.lacking = 0  # so many times more
        self.path = PcmPath(self._pull, self._hear, self._lacks)
        self._stream = rtp.Stream(1, 96, 0, 0)

    def open(self) -> None:
        self.path.open(self._say)

    def send(self, payload: bytes, now: float) -> None:
        """Let the path hear the next packet."""
        self.path.send(self._stream.emit(payload, now), self._stream.timestamp, now)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def _pull(self, ms: int) -> bytes:
        self.pulls += 1
        pcm, self.saying = self.saying[: 48 * ms], self.saying[48 * ms :]
        return pcm

    def _lacks(self, ms: int) -> bool:
        self.lacking -= 1
        self._news.set()
        return self.lacking >= 0

    def _say(self, packet: rtp.Packet, now: float) -> None:
        self.said.append(packet)
        self.times.append(now)
        self._news.set()

    def _hear(self, pcm: bytes) -> None:
        self.heard.append(pcm)
        self._news.set()


async def test_a_packet_leaves_every_20_ms_and_silence_is_always_the_same() -> None:
    told = Told()
    told.open()
    await told.until(lambda: len(told.said) >= 20)
    told.path.close()
    assert {packet.payload for packet in told.said} == {SILENT}
    assert told.times[19] - told.times[0] == pytest.approx(19 * 0.02, abs=0.05)
    assert told.pulls == len(told.said)


async def test_what_was_pulled_has_left() -> None:
    told = Told(tone(440, 0.1))
    told.open()
    left = len(told.saying)
    await told.until(lambda: told.said)
    assert (left, len(told.saying)) == (4800, 4800 - 960)
    assert len(told.said) == told.pulls == 1
    told.path.close()


async def test_speech_comes_and_goes_without_a_click() -> None:
    """Silence is not encoded, but decoder and encoder stay together."""
    told = Told(tone(440, 0.3, 0.2))
    told.open()
    await told.until(lambda: len(told.said) >= 40)
    assert {packet.payload for packet in told.said[35:]} == {SILENT}
    again = len(told.said)
    told.saying = tone(440, 0.3, 0.2)
    await told.until(lambda: len(told.said) >= again + 15)
    told.path.close()
    heard = decoded(packet.payload for packet in told.said)
    first, second = heard[:7200], heard[480 * again :][:7200]
    plain = decoded(encoded(tone(440, 0.3, 0.2), application="lowdelay"))
    for speech in (first, second):
        assert loudness(speech[480:6000], 440) == pytest.approx(0.2, rel=0.05)
        assert roughness(speech[480:6000], 440) < 0.02
        assert clicks(speech) < clicks(plain) + 0.01
    assert [packet.marker for packet in told.said].count(True) == 2


async def test_speech_that_ends_within_a_packet_is_filled_up() -> None:
    told = Told(tone(440, 0.05))
    told.open()
    await told.until(lambda: len(told.said) >= 4)
    told.path.close()
    heard = decoded(packet.payload for packet in told.said)
    assert loudness(heard[60:1260], 440) > 0.2
    assert np.abs(heard[1500:]).max() < 400


async def test_a_loop_that_was_held_up_says_how_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(voice, "_LATEST_S", -0.5)
    told = Told()
    told.open()
    await told.until(lambda: len(told.said) == 2)
    told.path.close()
    one, two = told.said
    assert rtp.ahead(two.sequence_number, one.sequence_number) == 1
    assert 26 <= rtp.later(two.timestamp, one.timestamp) / rtp.FRAME < 50


async def test_speech_that_is_late_is_waited_for_and_said_at_once() -> None:
    told = Told(tone(440, 0.5))
    told.open()
    await told.until(lambda: len(told.said) >= 3)
    told.lacking = 5
    count = len(told.said)
    await told.until(lambda: told.lacking <= 0)
    assert len(told.said) == count
    await told.until(lambda: len(told.said) > count)
    # What was not said, and what is due.
    assert len(told.said) == count + 6
    told.path.close()
    for one, two in pairwise(told.said):
        assert rtp.ahead(two.sequence_number, one.sequence_number) == 1
        assert rtp.later(two.timestamp, one.timestamp) == rtp.FRAME


async def test_speech_that_does_not_come_is_not_waited_for() -> None:
    told = Told(tone(440, 0.5))
    told.open()
    await told.until(lambda: len(told.said) >= 3)
    told.lacking, told.saying = 30, b""
    count = len(told.said)
    await told.until(lambda: len(told.said) >= count + 5)
    assert told.lacking == 30 - 10 - 5
    told.path.close()
    one, two = told.said[count - 1 : count + 1]
    assert rtp.ahead(two.sequence_number, one.sequence_number) == 1
    assert rtp.later(two.timestamp, one.timestamp) == rtp.FRAME * 11


async def test_packets_are_heard_as_pcm_at_once() -> None:
    told = Told()
    told.open()
    for number, payload in enumerate(encoded(tone(440, 0.4))):
        told.send(payload, number / 50)
        assert len(told.heard) == number + 1
    told.path.close()
    heard = np.frombuffer(b"".join(told.heard), "<i2")
    assert loudness(heard[2400:], 440) == pytest.approx(0.25, rel=0.1)


async def test_packets_that_are_late_are_waited_for() -> None:
    told = Told()
    told.open()
    loop = asyncio.get_running_loop()
    speech = encoded(tone(440, 0.2))
    for payload in speech[:5]:
        told.send(payload, loop.time() - 0.1)
    await told.until(lambda: len(told.said) >= 4)
    assert len(told.heard) == 5
    for payload in speech[5:]:
        told.send(payload, loop.time())
    assert len(b"".join(told.heard)) == 9600
    told.path.close()


async def test_time_goes_on_for_who_hears_when_packets_do_not_come() -> None:
    told = Told()
    told.open()
    loop = asyncio.get_running_loop()
    for payload in encoded(tone(440, 0.1)):
        told.send(payload, loop.time())
    count = len(told.heard)
    began = loop.time()
    await told.until(lambda: len(told.heard) >= count + 20)
    assert 0.5 < loop.time() - began < 2
    assert not any(told.heard[-1])
    told.path.close()


async def test_who_was_never_spoken_to_hears_nothing() -> None:
    told = Told()
    told.open()
    await told.until(lambda: len(told.said) >= 10)
    told.path.close()
    assert told.heard == []


async def test_a_closed_path_neither_says_nor_hears() -> None:
    told = Told()
    told.open()
    told.path.close()
    told.path.close()
    told.send(SILENT, 0.0)
    other = Told()
    other.open()
    await other.until(lambda: len(other.said) >= 3)
    other.path.close()
    assert (told.said, told.heard) == ([], [])
