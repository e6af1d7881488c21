from __future__ import annotations

import math

import numpy as np
import pytest

from offhook.audio import dbfs, duration_ms, from_float, silence, skip_silence
from offhook.audio.levels import spoken

RATE = 16000


def tone(ms: int, amplitude: float = 1.0) -> bytes:
    t = np.arange(RATE * ms // 1000, dtype=np.float32) / RATE
    return from_float(amplitude * np.sin(2 * np.pi * 500 * t))


def test_full_scale_sine_is_three_below() -> None:
    assert dbfs(tone(1000)) == pytest.approx(-3.01, abs=0.01)


def test_a_tenth_is_twenty_less() -> None:
    assert dbfs(tone(1000, 0.1)) == pytest.approx(-23.01, abs=0.01)


@pytest.mark.parametrize("pcm", [b"", silence(100, RATE)])
def test_silence_has_no_level(pcm: bytes) -> None:
    assert dbfs(pcm) == -math.inf


def test_leading_silence_is_cut_to_what_is_kept() -> None:
    assert skip_silence(silence(2000, RATE) + tone(500), RATE) == (
        silence(300, RATE) + tone(500)
    )


def test_short_lead_is_left_alone() -> None:
    pcm = silence(200, RATE) + tone(500)
    assert skip_silence(pcm, RATE) == pcm


def test_later_silence_is_left_alone() -> None:
    pcm = tone(100) + silence(2000, RATE) + tone(100)
    assert skip_silence(pcm, RATE) == pcm


def test_hiss_below_the_threshold_is_silence() -> None:
    assert skip_silence(tone(1000, 0.001), RATE) == b""
    assert duration_ms(skip_silence(tone(1000, 0.01), RATE), RATE) == 1000


def test_speech_is_what_is_louder_than_the_room() -> None:
    chance = np.random.default_rng(3)
    levels = np.full(500, -65.0) + chance.normal(0, 1, 500)
    levels[100:180] = -30
    levels[95:100] = -55  # it begins softly
    levels[300:301] = -20  # a click
    assert spoken(levels) == [(95, 180)]


def test_in_a_loud_room_speech_is_louder() -> None:
    levels = np.full(500, -48.0)
    levels[100:180] = -25
    assert spoken(levels) == [(100, 180)]


def test_without_a_pause_all_of_it_is_speech() -> None:
    assert spoken(np.full(100, -20.0)) == [(0, 100)]


def test_in_silence_nobody_speaks() -> None:
    assert spoken(np.full(100, -100.0)) == []
    assert spoken(np.empty(0)) == []
