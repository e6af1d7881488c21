"""Audio between PCM and tracks: one pulled at real time, one read to its end."""

from __future__ import annotations

import asyncio
import fractions
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, Packet

from offhook.audio import Resampler, from_float, silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray

FRAME_MS = 20
_RATE = 48000
_SAMPLES = _RATE * FRAME_MS // 1000
_TIME_BASE = fractions.Fraction(1, _RATE)
# A loop that was held up catches up at most this much; the rest was silence anyway.
_LATEST_S = 0.2


class PulledTrack(MediaStreamTrack):
    """A track that asks for the next 20 ms every 20 ms.

    Args:
        pull: Returns that many milliseconds of 24 kHz PCM, or less; the rest is
            silence. Called on the event loop, must not block.
    """

    kind = "audio"

    def __init__(self, pull: Callable[[int], bytes]) -> None:
        super().__init__()
        self._pull = pull
        self._muted = False
        self._resampler = Resampler(24000, _RATE)
        self._ready = b""
        self._pts = 0
        self._due: float | None = None

    def mute(self) -> None:
        """Ask on in time, and hand out nothing any more: not even silence."""
        self._muted = True

    async def recv(self) -> AudioFrame:
        """Return the next frame when it is due."""
        pcm = await self._next()
        while self._muted:
            pcm = await self._next()
        pcm += silence(FRAME_MS, 24000)[len(pcm) :]
        return self._frame(self._resampler.feed(pcm))

    async def _next(self) -> bytes:
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        if self._due is None or now - self._due > _LATEST_S:
            self._due = now
        await asyncio.sleep(self._due - now)
        self._due += FRAME_MS / 1000
        return self._pull(FRAME_MS)

    def _frame(self, pcm: bytes) -> AudioFrame:
        # The resampler works in blocks of 940 samples: now and then two come, and at
        # first none. What is missing then is silence, once; later there is enough.
        self._ready = (self._ready + pcm).rjust(_SAMPLES * 2, b"\0")
        pcm, self._ready = self._ready[: _SAMPLES * 2], self._ready[_SAMPLES * 2 :]
        samples = np.frombuffer(pcm, "<i2").reshape(1, -1)
        frame = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = _RATE
        frame.time_base = _TIME_BASE
        frame.pts = self._pts
        self._pts += _SAMPLES
        return frame


async def pcm_of(track: MediaStreamTrack) -> AsyncIterator[bytes]:
    """Read an audio track as 24 kHz PCM until it ends."""
    rate, resampler = _RATE, Resampler(_RATE, 24000)
    while True:
        try:
            data = await track.recv()
        except MediaStreamError:
            return
        # A player that does not decode (MediaPlayer's decode=False) gives packets.
        for frame in data.decode() if isinstance(data, Packet) else (data,):
            if isinstance(frame, AudioFrame):
                if frame.sample_rate != rate:  # who has no Opus has G.711 or G.722
                    rate = frame.sample_rate
                    resampler = Resampler(rate, 24000)
                yield resampler.feed(_mono(frame))


def _mono(frame: AudioFrame) -> bytes:
    samples: NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.int16:
        # aiortc decodes Opus to stereo; a microphone has both sides alike.
        whole: NDArray[np.int16] = samples.mean(axis=0, dtype=np.float32).astype("<i2")
        return whole.tobytes()
    if samples.dtype.kind != "f":
        samples = samples.astype(np.float64) / -float(np.iinfo(samples.dtype).min)
    return from_float(samples.mean(axis=0, dtype=np.float32))
