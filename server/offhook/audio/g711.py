"""G.711, the codec of telephones: one byte per sample at 8 kHz, µ-law and A-law.

Both laws cut the magnitudes into 8 segments of 16 steps; each segment's steps are
twice as wide as those of the one before (ITU-T G.711, tables 1 and 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEGMENT, _STEP = np.divmod(np.arange(128), 16)

# µ-law shifts all magnitudes by 132, so that every segment starts at a power of two.
_ULAW_EDGES = ((16 + _STEP) << (_SEGMENT + 3)) - 132
_ULAW_LEVELS = ((33 + 2 * _STEP) << (_SEGMENT + 2)) - 132

# A-law's first two segments share one step width; a level is the middle of its step.
_ALAW_EDGES = (16 * (_SEGMENT > 0) + _STEP) << (np.maximum(_SEGMENT, 1) + 3)
_ALAW_LEVELS = _ALAW_EDGES + (8 << np.maximum(_SEGMENT - 1, 0))


def ulaw_encode(pcm: bytes) -> bytes:
    """Encode PCM16 as µ-law."""
    negative, code = _quantise(pcm, _ULAW_EDGES)
    return _as_bytes(~(negative << 7 | code))  # all bits travel inverted


def ulaw_decode(ulaw: bytes) -> bytes:
    """Decode µ-law to PCM16."""
    code = 255 - np.frombuffer(ulaw, np.uint8).astype(np.int_)
    return _restore(code & 127, code & 128 != 0, _ULAW_LEVELS)


def alaw_encode(pcm: bytes) -> bytes:
    """Encode PCM16 as A-law."""
    negative, code = _quantise(pcm, _ALAW_EDGES)
    return _as_bytes(((1 - negative) << 7 | code) ^ 0x55)  # even bits travel inverted


def alaw_decode(alaw: bytes) -> bytes:
    """Decode A-law to PCM16."""
    code = np.frombuffer(alaw, np.uint8).astype(np.int_) ^ 0x55
    return _restore(code & 127, code & 128 == 0, _ALAW_LEVELS)


def _quantise(
    pcm: bytes, edges: NDArray[np.int_]
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    samples = np.frombuffer(pcm, "<i2")
    negative = samples < 0
    # The complement, not the negative: -32768 has no positive twin in 16 bits.
    magnitude = np.where(negative, ~samples, samples)
    code = np.searchsorted(edges, magnitude, side="right") - 1
    return negative.astype(np.int_), code


def _restore(
    code: NDArray[np.int_], negative: NDArray[np.bool_], levels: NDArray[np.int_]
) -> bytes:
    magnitude = levels[code]
    return np.where(negative, -magnitude, magnitude).astype("<i2").tobytes()


def _as_bytes(code: NDArray[np.int_]) -> bytes:
    return (code & 255).astype(np.uint8).tobytes()
