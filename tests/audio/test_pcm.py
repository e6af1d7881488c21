from __future__ import annotations

import numpy as np
import pytest

from offhook.audio import byte_length, duration_ms, from_float, silence, to_float


def test_length_and_duration_agree() -> None:
    assert byte_length(20, 24000) == 960
    assert duration_ms(bytes(960), 24000) == 20
    assert duration_ms(bytes(958), 24000) == 19


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 24000, 44100, 48000])
def test_lengths_are_whole_samples(rate: int) -> None:
    assert all(byte_length(ms, rate) % 2 == 0 for ms in range(50))


def test_silence_is_zeros() -> None:
    assert silence(10, 8000) == bytes(160)


def test_every_sample_survives() -> None:
    pcm = np.arange(-32768, 32768).astype("<i2").tobytes()
    assert from_float(to_float(pcm)) == pcm


def test_too_loud_is_clipped_and_does_not_wrap() -> None:
    loud = from_float(np.array([2, 1, -1, -2], np.float32))
    assert np.frombuffer(loud, "<i2").tolist() == [32767, 32767, -32768, -32768]
