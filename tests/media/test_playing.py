from __future__ import annotations

import asyncio
from itertools import count

import numpy as np
import pytest

from offhook.media.mixer import Layer, Mixer
from offhook.media.playing import Alone, Under, encoded
from offhook.media.sounds import Sound
from offhook.protocol.rtp import Packet
from tests.media.opus import decoded, loudness, tone
from tests.media.opus import encoded as spoken

pytestmark = pytest.mark.anyio

HUM = Sound(tone(1200, 0.2, 0.1))
QUIET = spoken(bytes(96000))


class Ear:
    """Keeps what is sent, and when."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.times: list[float] = []
        self.ends = 0
        self._news = asyncio.Event()

    def emit(self, payload: bytes, now: float) -> None:
        self.payloads.append(payload)
        self.times.append(now)
        self._news.set()

    def ended(self) -> None:
        self.ends += 1
        self._news.set()

    async def until(self, payloads: int = 0, ends: int = 0) -> None:
        async with asyncio.timeout(5):
            while len(self.payloads) < payloads or self.ends < ends:
                self._news.clear()
                await self._news.wait()


def packet(number: int, payload: bytes) -> Packet:
    return Packet(111, False, number, 960 * number, 7, payload)


async def test_payloads_are_sent_in_real_time() -> None:
    ear, loop = Ear(), asyncio.get_running_loop()
    begin = loop.time()
    Alone(HUM.payloads(), ear.emit, ear.ended)
    await ear.until(ends=1)
    assert ear.payloads == list(HUM.packets)
    assert ear.times[0] - begin < 0.1
    assert 0.18 <= loop.time() - begin < 0.4
    assert np.diff(ear.times).min() > 0.0


async def test_what_is_played_alone_stops_at_once_and_once() -> None:
    ear = Ear()
    playing = Alone(HUM.payloads(loop=True), ear.emit, ear.ended)
    await ear.until(payloads=3)
    playing.end()
    playing.end()
    assert ear.ends == 1
    sent = len(ear.payloads)
    await asyncio.sleep(0)
    assert len(ear.payloads) == sent


async def test_a_loop_that_was_held_up_does_not_send_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ear, loop = Ear(), asyncio.get_running_loop()
    clock, lag = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: clock() + lag)
    playing = Alone(HUM.payloads(loop=True), ear.emit, ear.ended)
    await ear.until(payloads=3)
    lag = 10.0  # it stood still for so long
    await ear.until(payloads=4)
    before = clock()
    await ear.until(payloads=20)
    assert clock() - before > 0.08
    playing.end()


async def test_speech_is_sent_as_it_comes_with_the_sound_under_it() -> None:
    ear, loop = Ear(), asyncio.get_running_loop()
    playing = Under(Mixer(Layer(HUM.samples(loop=True))), ear.emit, ear.ended)
    for number, payload in enumerate(spoken(tone(440, 0.4))):
        playing.heard(packet(number, payload), loop.time() + number * 0.02)
        assert len(ear.payloads) == number + 1
    playing.end()
    assert loudness(decoded(ear.payloads)[2400:], 440) > 0.2


async def test_without_speech_it_goes_on_by_itself_in_real_time() -> None:
    ear, loop = Ear(), asyncio.get_running_loop()
    begin = loop.time()
    playing = Under(Mixer(Layer(HUM.samples(loop=True))), ear.emit, ear.ended)
    await ear.until(payloads=11)
    assert 0.25 <= loop.time() - begin < 0.5
    # Speech takes over at once.
    sent = len(ear.payloads)
    playing.heard(packet(0, QUIET[0]), loop.time())
    assert len(ear.payloads) == sent + 1
    playing.end()


async def test_it_ends_when_the_sound_is_over_and_the_speech_pauses() -> None:
    ear, numbers = Ear(), count()
    playing = Under(Mixer(Layer(HUM.samples())), ear.emit, ear.ended)
    for payload in spoken(tone(440, 0.5)):
        number = next(numbers)
        playing.heard(packet(number, payload), number * 0.02)
    assert ear.ends == 0
    for payload in QUIET[:5]:
        number = next(numbers)
        playing.heard(packet(number, payload), number * 0.02)
    assert ear.ends == 1
    playing.end()
    assert ear.ends == 1


async def test_who_never_pauses_is_not_waited_for() -> None:
    ear = Ear()
    playing = Under(Mixer(Layer(HUM.samples())), ear.emit, ear.ended)
    for number, payload in enumerate(spoken(tone(440, 1.5))):
        if ear.ends:
            break
        playing.heard(packet(number, payload), number * 0.02)
    assert 1.1 < number * 0.02 < 1.3


async def test_a_stopped_sound_goes_softly() -> None:
    ear = Ear()
    layer = Layer(HUM.samples(loop=True))
    Under(Mixer(layer), ear.emit, ear.ended)
    await ear.until(payloads=5)
    layer.stop()
    assert ear.ends == 0
    await ear.until(ends=1)
    assert len(ear.payloads) < 10


async def test_another_sound_is_put_under_the_same_speech() -> None:
    ear = Ear()
    one, other = Layer(HUM.samples()), Layer(HUM.samples(loop=True))
    playing = Under(Mixer(one), ear.emit, ear.ended)
    await ear.until(payloads=5)
    playing.add(other)
    await ear.until(payloads=30)
    assert (one.ended, other.ended, ear.ends) == (True, False, 0)
    playing.end()
    assert (other.ended, ear.ends) == (True, 1)


async def test_samples_are_encoded_at_the_level_that_is_asked_for() -> None:
    payloads = list(encoded(HUM.samples(), -6))
    assert loudness(decoded(payloads)[480:], 1200) == pytest.approx(0.05, rel=0.1)


async def test_samples_are_encoded_as_they_are_asked_for() -> None:
    payloads = list(encoded(HUM.samples()))
    assert len(payloads) == 10
    assert loudness(decoded(payloads)[480:], 1200) == pytest.approx(0.1, rel=0.1)
