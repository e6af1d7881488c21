"""How loud audio is."""

from __future__ import annotations

import numpy as np

from offhook.audio.pcm import byte_length, to_float

_WINDOW_MS = 20


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
