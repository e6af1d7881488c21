"""WAV files: what callers say from them, and what recorders write into them."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np

from offhook.audio import resample

if TYPE_CHECKING:
    from pathlib import Path


def written(path: str | Path, pcm: bytes) -> str:
    """Write 24 kHz PCM, and return the path."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24000)
        file.writeframes(pcm)
    return str(path)


def read(path: str | Path) -> bytes:
    """Read the left side of any such file as 24 kHz PCM."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        left = samples.reshape(-1, file.getnchannels())[:, 0]
        return resample(left.tobytes(), file.getframerate(), 24000)
