"""How much what was heard is like what was said."""

from __future__ import annotations

import re
from typing import Any

import jiwer
import numpy as np
import pytest

from offhook.audio import resample

RATE = 24000
_WIDE = 16000
# So much is left around what was found.
_MARGIN = RATE // 5


def found(like: bytes, pcm: bytes) -> bytes:
    """Cut out of PCM what is most like this."""
    one, other = (np.frombuffer(part, "<i2").astype(float) for part in (like, pcm))
    size = 1 << (len(one) + len(other)).bit_length()
    spectrum = np.fft.rfft(other, size) * np.conj(np.fft.rfft(one, size))
    at = int(np.fft.irfft(spectrum, size)[: len(other)].argmax())
    return pcm[2 * max(0, at - _MARGIN) : 2 * (at + len(one) + _MARGIN)]


def pesq(said: bytes, heard: bytes) -> float:
    """PESQ-wb (ITU-T P.862.2), from 1 to 4.64; 24 kHz PCM."""
    # It needs a C compiler to be installed.
    judge: Any = pytest.importorskip("pesq")
    pair = (resample(pcm, RATE, _WIDE) for pcm in (said, found(said, heard)))
    return float(judge.pesq(_WIDE, *(np.frombuffer(p, "<i2") for p in pair), "wb"))


def misheard(said: str, heard: str) -> float:
    """The share of the words that are wrong."""
    return float(jiwer.wer(_words(said), _words(heard)))


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))
