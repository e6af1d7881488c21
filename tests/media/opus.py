"""Speech as a browser would send it, for tests of what is made of it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from av import AudioFrame, CodecContext

from offhook.media.codec import Decoder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

RATE = 24000


def tone(hertz: float, seconds: float, level: float = 0.25) -> bytes:
    """A sine as 24 kHz PCM."""
    t = np.arange(round(seconds * RATE)) / RATE
    return (32767 * level * np.sin(2 * np.pi * hertz * t)).astype("<i2").tobytes()


def encoded(
    pcm: bytes, *, ms: int = 20, application: str = "voip", **options: str
) -> list[bytes]:
    """Encode 24 kHz PCM by ffmpeg, at 32 kb/s."""
    codec = CodecContext.create("libopus", "w")
    codec.bit_rate, codec.format, codec.layout = 32000, "s16", "mono"
    codec.sample_rate, codec.time_base = RATE, Fraction(1, RATE)
    codec.options = {
        "application": application,
        "frame_duration": str(ms),
        **options,
    }
    size, packets = 2 * RATE * ms // 1000, []
    for at in range(0, len(pcm) - size + 1, size):
        frame = AudioFrame(format="s16", layout="mono", samples=size // 2)
        frame.planes[0].update(pcm[at : at + size])
        frame.sample_rate, frame.pts = RATE, at // 2
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


def decoded(payloads: Iterable[bytes]) -> NDArray[np.int16]:
    """What one hears of payloads."""
    decoder = Decoder()
    return np.frombuffer(b"".join(map(decoder.decode, payloads)), "<i2")


def loudness(pcm: NDArray[np.int16], hertz: float) -> float:
    """How loud a sine of this pitch is in it, from 0 to 1."""
    wave = np.exp(2j * np.pi * hertz * np.arange(len(pcm)) / RATE)
    return float(2 * abs(np.dot(pcm, wave)) / len(pcm) / 32768)


def clicks(pcm: NDArray[np.int16]) -> float:
    """The loudest of what is above 6 kHz in any 5 ms, where tones have nothing."""
    size = RATE // 200
    pieces = pcm[: len(pcm) // size * size].reshape(-1, size) * np.hanning(size)
    spectrum = abs(np.fft.rfft(pieces, axis=1)) * 4 / size / 32768
    return float(spectrum[:, 6000 * size // RATE :].max())


def roughness(pcm: NDArray[np.int16], hertz: float) -> float:
    """How far it is at most from any sine of this pitch, from 0 to 1."""
    angle = 2 * np.pi * hertz * np.arange(len(pcm)) / RATE
    waves = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    fit = np.linalg.lstsq(waves, pcm.astype(float), rcond=None)[0]
    return float(abs(pcm - waves @ fit).max()) / 32768
