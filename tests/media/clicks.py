"""One side of a call with clicks in it, as packets that a network brings."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from offhook.audio import opus, to_float
from offhook.media.codec import Decoder
from offhook.protocol import ogg
from offhook.protocol.rtp import Packet
from tests.media.opus import RATE, encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

# What is encoded, and then said again and again: a click a second.
LOOP_S = 12
# In each second, so that it is all in one packet.
CLICK_S = 0.423


class Came(NamedTuple):
    """A packet that has come, and when."""

    packet: Packet
    at: float


class Said(NamedTuple):
    """What one side says.

    Attributes:
        packets: All that came, in the order they came.
        clicks: When those were said whose packet came, and the one after it, for an
            encoder is late by a third of a packet or more.
    """

    packets: list[Came]
    clicks: list[float]


def pulse() -> NDArray[np.float64]:
    """4 ms of 2 kHz, which every mode of Opus keeps."""
    t = np.arange(RATE // 250) / RATE
    return np.hanning(len(t)) * np.sin(2 * np.pi * 2000 * t)


@cache
def payloads(ms: int, click_s: float, noise: float, dtx: bool) -> list[bytes]:
    """Packets of a room in which somebody clicks once a second."""
    pcm = np.random.default_rng(7).normal(0, noise, LOOP_S * RATE)
    for second in range(LOOP_S):
        at = round((second + click_s) * RATE)
        pcm[at : at + len(pulse())] += 0.8 * pulse()
    data = (32767 * pcm).clip(-32768, 32767).astype("<i2").tobytes()
    return encoded(data, ms=ms, dtx=str(int(dtx)))


def say(
    seconds: float,
    *,
    ms: int = 20,
    click_s: float = CLICK_S,
    noise: float = 0.002,
    dtx: bool = False,
    live: bool = True,
    drift: float = 0.0,
    delay: Callable[[float], float | None] = lambda _: 0.0,
    stalls: Iterable[tuple[float, float]] = (),
    renewed: Iterable[float] = (),
    silent: Callable[[float], bool] = lambda _: False,
) -> Said:
    """Say something.

    Args:
        seconds: How long, by the recording's clock.
        ms: Of a packet.
        click_s: When in each second it clicks.
        noise: Of the room, 1 for full scale.
        dtx: Whether packets are left out where it is quiet.
        live: Whether a packet leaves when it has been said, or before it is heard.
        drift: How much faster the source's clock is.
        delay: How late a packet comes that is sent at a time; None loses it.
        stalls: When the source stands still, and for how long: its timestamps do, too.
        renewed: When it goes on as another source.
        silent: Whether nothing is sent at a time, and the timestamps go on.
    """
    loop = payloads(ms, click_s, noise, dtx)
    pauses, sources = sorted(stalls), sorted(renewed)
    rng = random.Random(5)
    base, ssrc, number, stood = rng.randrange(2**32), rng.randrange(2**32), 65000, 0.0
    came, clicks, again, before = [], list[float](), list[float](), -1
    for index in range(round(seconds * 1000 / ms)):
        media = index * ms / 1000
        at = media / (1 + drift) + stood
        while pauses and pauses[0][0] <= at:
            stood += pauses.pop(0)[1]
            at = media / (1 + drift) + stood
        if at >= seconds:
            break
        while sources and sources[0] <= at:
            sources.pop(0)
            base, ssrc = rng.randrange(2**32), rng.randrange(2**32)
            number = rng.randrange(2**16)
        payload = loop[index % len(loop)]
        if silent(at) or (dtx and len(payload) <= 2):
            continue
        number += 1
        left = at + ms / 1000 if live else at
        late = delay(left)
        if late is None:
            continue
        timestamp = (base + index * ms * 48) & 0xFFFFFFFF
        packet = Packet(111, False, number & 0xFFFF, timestamp, ssrc, payload)
        came.append(Came(packet, left + late))
        clicks += again if before == index - 1 else []
        before = index
        again = [at + t / (1 + drift) for t in _clicks(media, ms, click_s)]
    came.sort(key=lambda c: c.at)
    return Said(came, clicks)


def _clicks(media: float, ms: int, click_s: float) -> Iterator[float]:
    """When after a packet's begin something clicks that is all in it."""
    after = (click_s - media) % 1.0
    if after + 0.004 < ms / 1000:
        yield after + 0.002


def tracks(data: bytes) -> tuple[list[bytes], int]:
    """The audio packets of an Opus file, and where its last page ends."""
    pages = list(ogg.Reader().feed(data))
    return [p for page in pages[2:] for p in page.packets], pages[-1].granule


def heard(packets: Iterable[bytes], size: int = RATE) -> Iterator[NDArray[np.float32]]:
    """Decode packets, at 24 kHz, from where a player begins; a second at a time."""
    decoder, waiting = Decoder(), bytearray()
    skip = ogg.PRE_SKIP
    for packet in packets:
        samples = 2 * (opus.duration(packet) // 2)
        waiting += decoder.decode(packet).ljust(samples, b"\0")
        if skip:
            del waiting[:skip]
            skip = 0
        while len(waiting) >= 2 * size:
            yield to_float(bytes(waiting[: 2 * size]))
            del waiting[: 2 * size]
    yield to_float(bytes(waiting))


def found(packets: Iterable[bytes]) -> NDArray[np.float64]:
    """When clicks are heard."""
    pcm = np.concatenate(list(heard(packets)))
    t = np.arange(-96, 96) / RATE
    wave = np.exp(2j * np.pi * 2000 * t) * np.hanning(192) ** 2
    envelope = abs(np.convolve(pcm, wave, "same"))
    loud = envelope > 0.25 * np.quantile(envelope, 0.9995)
    edges = np.flatnonzero(np.diff(loud.astype(np.int8), prepend=0, append=0))
    times, last = [], -1.0
    for begin, end in edges.reshape(-1, 2):
        at = (begin + int(np.argmax(envelope[begin:end]))) / RATE
        if at - last > 0.1:
            times.append(at)
            last = at
    return np.array(times)


def errors(said: Iterable[float], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each that was said is from the nearest that is heard."""
    wanted = np.array(list(said))
    after = np.searchsorted(times, wanted).clip(1, len(times) - 1)
    nearest: NDArray[np.float64] = np.minimum(
        abs(times[after] - wanted), abs(times[after - 1] - wanted)
    )
    return nearest
