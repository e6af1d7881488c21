"""Pure functions on audio: PCM16 little-endian mono, as the Realtime API carries it."""

from offhook.audio.g711 import (
    alaw_decode,
    alaw_encode,
    ulaw_decode,
    ulaw_encode,
)
from offhook.audio.levels import dbfs, skip_silence
from offhook.audio.pcm import (
    SAMPLE_BYTES,
    byte_length,
    duration_ms,
    from_float,
    silence,
    to_float,
)
from offhook.audio.resample import Resampler, resample

__all__ = [
    "SAMPLE_BYTES",
    "Resampler",
    "alaw_decode",
    "alaw_encode",
    "byte_length",
    "dbfs",
    "duration_ms",
    "from_float",
    "resample",
    "silence",
    "skip_silence",
    "to_float",
    "ulaw_decode",
    "ulaw_encode",
]
