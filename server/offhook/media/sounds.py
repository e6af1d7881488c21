"""What is played into a call: a file, PCM, or any live track."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, AudioResampler

from offhook.audio import resample
from offhook.audio.mixing import amplitude, pcm16
from offhook.errors import InvalidRequest, SettingsError
from offhook.media.codec import FRAME_BYTES, RATE, Encoder
from offhook.media.files import read_pcm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from aiortc import MediaStreamTrack
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)

# What is kept of a live track before it flows: one that is 20 ms late makes no gap.
_CUSHION_BYTES = 2 * FRAME_BYTES
# It is read no further ahead than this: it may not keep time itself.
_AHEAD_BYTES = 5 * FRAME_BYTES


class Source(Protocol):
    """Where a sound's samples come from."""

    def take(self, samples: int) -> NDArray[np.int16] | None:
        """Return the next samples, less where there are less; None after the end."""


class Sound:
    """A sound that was decoded and encoded once, for any number of calls.

    It takes 58 kB a second. Make it with `load` or `of_pcm`, which take some 5 ms for
    a second of sound; do not change it.

    Attributes:
        pcm: Mono samples at 24 kHz, for mixing.
        packets: The same as Opus packets of 20 ms, for playing it alone.
    """

    def __init__(self, pcm: bytes) -> None:
        self.pcm: NDArray[np.int16] = np.frombuffer(pcm, "<i2")
        encoder = Encoder()
        self.packets = tuple(
            encoder.encode(pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))
            for at in range(0, len(pcm), FRAME_BYTES)
        )
        if not self.packets:
            raise SettingsError("A sound without a sample cannot be played.")

    @classmethod
    async def load(cls, path: Path | str) -> Self:
        """Read the first audio stream of a file that ffmpeg can read, in a thread.

        Raises:
            SettingsError: It cannot be read.
        """
        return await asyncio.to_thread(cls.read, path)

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Do the same where nothing else waits."""
        return cls(_read(path))

    @classmethod
    async def of_pcm(cls, pcm: bytes, rate: int = RATE) -> Self:
        """Take PCM16 mono."""
        return await asyncio.to_thread(lambda: cls(resample(pcm, rate, RATE)))

    def at(self, gain_db: float) -> Sound:
        """The same at another level; takes as long as making it."""
        pcm = self.pcm.astype(np.float32) * np.float32(amplitude(gain_db))
        return Sound(pcm16(pcm))

    def samples(self, *, loop: bool = False) -> Source:
        """The samples from the beginning on."""
        return _Samples(self.pcm, loop)

    def payloads(self, *, loop: bool = False) -> Iterator[bytes]:
        """The packets from the beginning on."""
        yield from self.packets
        while loop:
            yield from self.packets


class _Samples:
    def __init__(self, pcm: NDArray[np.int16], loop: bool) -> None:
        self._pcm = pcm
        self._loop = loop
        self._at = 0  # may be behind the end, where it does not begin again

    def take(self, samples: int) -> NDArray[np.int16] | None:
        begin, self._at = self._at, self._at + samples
        if self._at <= len(self._pcm):
            return self._pcm[begin : self._at]
        if self._loop:
            self._at %= len(self._pcm)
            return self._pcm.take(range(begin, begin + samples), mode="wrap")
        return self._pcm[begin:] if begin < len(self._pcm) else None


class LiveSource:
    """The samples of a track, as they come: silence where it is late.

    `run` reads it until it ends or is cancelled, and stops it then.

    Args:
        make: Makes the track; called once, by `run`.
    """

    def __init__(self, make: Callable[[], MediaStreamTrack]) -> None:
        self._make = make
        self._waiting = bytearray()  # _AHEAD_BYTES and a frame of the track's
        self._room = asyncio.Event()
        self._flows = False
        self._ended = False

    def take(self, samples: int) -> NDArray[np.int16] | None:
        """Return the next samples, or none where they are late; None after the end."""
        if self._ended and not self._waiting:
            return None
        if not (self._flows or self._ended or len(self._waiting) >= _CUSHION_BYTES):
            return np.empty(0, np.int16)
        pcm = bytes(self._waiting[: 2 * samples])
        del self._waiting[: 2 * samples]
        self._flows = len(pcm) == 2 * samples
        self._room.set()
        return np.frombuffer(pcm, "<i2")

    async def run(self) -> None:
        """Read the track."""
        try:
            track = self._make()
            try:
                async for pcm in _pcm(track):
                    self._waiting += pcm
                    while len(self._waiting) > _AHEAD_BYTES:
                        self._room.clear()
                        await self._room.wait()
            finally:
                track.stop()
        except Exception:
            _log.exception("the track failed: it is not played any more")
        finally:
            self._ended = True


async def _pcm(track: MediaStreamTrack) -> AsyncIterator[bytes]:
    resampler, kind = None, None
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        if not isinstance(frame, AudioFrame):
            continue
        found = frame.format.name, frame.layout.name, frame.sample_rate
        if resampler is None or kind != found:
            kind = found
            resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        frame.pts = None  # gaps in it would be an error
        yield _bytes(resampler.resample(frame))


def _read(path: Path | str) -> bytes:
    try:
        return read_pcm(str(path))
    except InvalidRequest as error:
        raise SettingsError(error.message) from None


def _bytes(frames: list[AudioFrame]) -> bytes:
    return b"".join(bytes(frame.planes[0])[: 2 * frame.samples] for frame in frames)
