"""Voice activity of many calls at a time, in one thread."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from offhook.audio import SAMPLE_BYTES, Resampler, to_float
from offhook.speech.activity import FRAME, FRAME_MS
from offhook.speech.activity import RATE as DETECTOR_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from offhook.speech.activity import Detector
    from offhook.speech.worker import Worker

CALL_RATE = 24000
"""The sample rate of a call's audio: that of PCM16 in the Realtime API."""

_FRAME_BYTES = FRAME * SAMPLE_BYTES


@dataclass(frozen=True)
class Activity:
    """How likely one frame of a call's audio is speech.

    Attributes:
        at_ms: Where the frame ends on the call's audio clock.
        probability: From 0 to 1.
    """

    at_ms: int
    probability: float


class Detectors:
    """Lends detectors to calls, one each; any thread may ask.

    Loading one takes 70 ms, so those that calls have left are used again.
    """

    def __init__(self, load: Callable[[], Detector]) -> None:
        self._load = load
        self._idle: list[Detector] = []

    def borrow(self) -> Detector:
        """A detector that has heard nothing yet."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._load()

    def give_back(self, detector: Detector) -> None:
        """Take a detector back and let it forget the call."""
        detector.reset()
        self._idle.append(detector)


class Listener:
    """The ear of one call; close it when the call ends."""

    def __init__(self, worker: Worker, detectors: Detectors) -> None:
        self._worker = worker
        self._detectors = detectors
        self._detector: Detector | None = None
        self._resampler = Resampler(CALL_RATE, DETECTOR_RATE)
        self._rest = b""
        self._heard = 0  # frames
        # The loop's thread fills one and empties the other; the worker's reverses it.
        # Both are as short as a feed is, because the caller waits for each feed.
        self._chunks: deque[bytes] = deque()
        self._found: deque[Activity] = deque()
        # Bytes: given by the loop's thread, taken by the worker's, and of how many the
        # next frame is made: with less there is no reason to wake it up.
        self._given = 0
        self._taken = 0
        self._wanted = 0

    async def feed(self, pcm: bytes) -> list[Activity]:
        """Take the call's next audio and give what is known since the last time.

        Cancelling loses no audio and no result: the next feed gives them.

        Args:
            pcm: PCM16 at 24 kHz, as much as there is.

        Raises:
            ServerError: Too many calls at a time.
        """
        self._chunks.append(pcm)
        self._given += len(pcm)
        # A frame that follows another of its call finds the model in the processor's
        # cache and takes half the time: while others wait, two are heard at once.
        spare = _FRAME_BYTES * CALL_RATE // DETECTOR_RATE if self._worker.busy else 0
        if self._given >= self._wanted + spare:
            if self._detector is None:
                # Not in the worker's thread, where all other calls would wait for it.
                self._detector = await asyncio.to_thread(self._detectors.borrow)
            detector = self._detector
            await self._worker.run(lambda: self._listen(detector))
        return [self._found.popleft() for _ in range(len(self._found))]

    def close(self) -> None:
        """Give the detector back, for another call; feed nothing after this."""
        self._worker.post(self._release)

    def _listen(self, detector: Detector) -> None:
        chunks = [self._chunks.popleft() for _ in range(len(self._chunks))]
        pcm = b"".join(chunks)
        audio = self._rest + self._resampler.feed(pcm)
        whole = len(audio) - len(audio) % _FRAME_BYTES
        self._rest = audio[whole:]
        for at in range(0, whole, _FRAME_BYTES):
            frame = to_float(audio[at : at + _FRAME_BYTES])
            probability = detector.probability(frame)
            self._heard += 1
            self._found.append(Activity(self._heard * FRAME_MS, probability))
        self._taken += len(pcm)
        # Rounding in the resampler may bring a sample sooner.
        missing = _FRAME_BYTES - len(self._rest) - 2 * SAMPLE_BYTES
        self._wanted = self._taken + missing * CALL_RATE // DETECTOR_RATE

    def _release(self) -> None:
        if self._detector:
            self._detectors.give_back(self._detector)
            self._detector = None
