"""PCM16 bytes: how long they are, and as numbers between -1 and 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_BYTES = 2


def duration_ms(pcm: bytes, rate: int) -> int:
    """How long this lasts, in whole milliseconds, rounded down.

    Keep a clock in samples, not in sums of these: a sum of rounded values drifts.
    """
    return len(pcm) // SAMPLE_BYTES * 1000 // rate


def byte_length(ms: int, rate: int) -> int:
    """How many bytes last this long; always whole samples."""
    return ms * rate // 1000 * SAMPLE_BYTES


def silence(ms: int, rate: int) -> bytes:
    """Digital silence of this length."""
    return bytes(byte_length(ms, rate))


def to_float(pcm: bytes) -> NDArray[np.float32]:
    """The samples as numbers in [-1, 1)."""
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)


def from_float(samples: NDArray[np.floating[Any]]) -> bytes:
    """PCM16 of numbers in [-1, 1]; what lies outside is clipped."""
    scaled = np.rint(samples * np.float32(32768))
    coded: NDArray[np.int16] = scaled.clip(-32768, 32767).astype("<i2")
    return coded.tobytes()
