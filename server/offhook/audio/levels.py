"""How loud audio is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from offhook.audio.pcm import byte_length, to_float

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WINDOW_MS = 20
# Speech is so loud, and so much louder than the room; it begins and ends softer. In
# dBFS over a window, and dB.
_SPEECH, _OVER_ROOM, _LOUDEST_ROOM, _SOFTER = -50.0, 12.0, -35.0, 8.0
# Of all windows so many are the room, at least.
_ROOM = 0.1


def dbfs(pcm: bytes) -> float:
    """The root mean square in dB of full scale; -inf for silence and for nothing."""
    if not any(pcm):
        return -np.inf
    power = np.mean(np.square(to_float(pcm), dtype=np.float64))
    return float(10 * np.log10(power))


def skip_silence(
    pcm: bytes, rate: int, keep_ms: int = 300, threshold: float = -50.0
) -> bytes:
    """Drop the silence that audio begins with, but for the last `keep_ms` of it.

    Args:
        pcm: PCM16.
        rate: Its sample rate.
        keep_ms: How much to keep: the beginning of a word can be very soft.
        threshold: What is not louder, in dBFS over 20 ms, is silence.

    Returns:
        The audio from there on, or nothing where all of it is silence.
    """
    window = byte_length(_WINDOW_MS, rate)
    for start in range(0, len(pcm), window):
        if dbfs(pcm[start : start + window]) > threshold:
            return pcm[max(0, start - byte_length(keep_ms, rate)) :]
    return b""


def spoken(levels: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Find where there is speech, or another sound over the room's.

    Args:
        levels: In dBFS, of windows of 10 ms or so.

    Returns:
        From which window, and to before which; pauses within it are in none.
    """
    audible = levels[levels > -90]
    room = float(np.quantile(audible, _ROOM)) if len(audible) else -np.inf
    loud = min(max(_SPEECH, room + _OVER_ROOM), _LOUDEST_ROOM)
    soft = np.flatnonzero(
        np.diff((levels > loud - _SOFTER).astype(np.int8), prepend=0, append=0)
    )
    return [
        (int(begin), int(end))
        for begin, end in soft.reshape(-1, 2)
        if (levels[begin:end] > loud).sum() >= 2
    ]
