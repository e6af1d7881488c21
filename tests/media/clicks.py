"""One side of a call with clicks in it, as packets that a network brings."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from offhook.audio import opus, to_float
from offhook.media.codec import Decoder
from offhook.protocol import ogg
from tests.media.opus import RATE, encoded
from tests.protocol.sources import Sent, send

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

# What is encoded, and then said again and again: a click a second.
LOOP_S = 12
# In each second, so that a click is all in one packet.
CLICK_S = 0.423
# Where a click is looked for, and what of it is heard at least.
_AROUND_S, _LOUD = 0.15, 4.0


class Said(NamedTuple):
    """What one side says.

    Attributes:
        packets: All that came, in the order they came.
        clicks: When those were said whose packet came, and the one after it, for an
            encoder is late by a third of a packet or more.
    """

    packets: list[Sent]
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
    drift: float = 0.0,
    **how: Any,
) -> Said:
    """Say something.

    Args:
        seconds: How long, by the recording's clock.
        ms: Of a packet.
        click_s: When in each second it clicks.
        noise: Of the room, 1 for full scale.
        dtx: Whether packets are left out where it is quiet.
        drift: How much faster the source's clock is.
        how: See `send`.
    """
    loop = payloads(ms, click_s, noise, dtx)

    def payload(index: int) -> bytes:
        data = loop[index % len(loop)]
        return b"" if dtx and len(data) <= 2 else data

    sent = send(seconds, payload, ms=ms, drift=drift, **how)
    came = {one.number for one in sent}
    clicks = [
        one.said + after / (1 + drift)
        for one in sent
        if one.number + 1 in came
        for after in _clicks(one.number * ms / 1000, ms, click_s)
    ]
    return Said(sent, sorted(clicks))


def _clicks(media: float, ms: int, click_s: float) -> Iterator[float]:
    """When after a packet's begin something clicks that is all in it."""
    after = (click_s - media) % 1.0
    if after + 0.004 < ms / 1000:
        yield after + 0.002


def tracks(data: bytes) -> tuple[list[bytes], int]:
    """The audio packets of an Opus file, and where its last page ends."""
    pages = list(ogg.Reader().feed(data))
    return [p for page in pages[2:] for p in page.packets], pages[-1].granule


def errors_ms(packets: Iterable[bytes], clicks: list[float]) -> NDArray[np.float64]:
    """How far clicks are heard from when they were said; NaN where there is none."""
    t = np.arange(-48, 48) / RATE
    wave = np.exp(2j * np.pi * 2000 * t) * np.hanning(96)
    errors = []
    for piece in _around(packets, clicks):
        envelope = abs(np.convolve(piece, wave, "same"))
        at = int(np.argmax(envelope))
        error = 1000 * (at / RATE - _AROUND_S)
        errors.append(error if envelope[at] > _LOUD else np.nan)
    return np.array(errors)


def _around(
    packets: Iterable[bytes], times: list[float]
) -> Iterator[NDArray[np.float32]]:
    """Decode packets, as a player does, and give what is heard around some times."""
    decoder, kept = Decoder(), bytearray()
    begins = -(ogg.PRE_SKIP // 2)  # of what is kept, in samples
    coming = iter(packets)
    for time in times:
        begin, end = (round((time + d) * RATE) for d in (-_AROUND_S, _AROUND_S))
        while begins + len(kept) // 2 < end and (packet := next(coming, None)):
            kept += decoder.decode(packet).ljust(opus.duration(packet), b"\0")
            # Some packets may be needed again, for the next time.
            old = min(begin, begins + len(kept) // 2) - begins
            if old > 0:
                del kept[: 2 * old]
                begins += old
        first = 2 * max(0, begin - begins)
        piece = bytes(kept[first : first + 2 * (end - begin)])
        yield to_float(piece.ljust(2 * (end - begin), b"\0"))
