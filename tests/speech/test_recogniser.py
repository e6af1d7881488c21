from __future__ import annotations

import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from offhook.audio import from_float, resample, silence
from offhook.speech.recogniser import RATE

if TYPE_CHECKING:
    from offhook.speech.recogniser import Moonshine
    from offhook.speech.synthesiser import Hibari


def test_silence_and_sounds_say_nothing(moonshine: Moonshine) -> None:
    t = np.arange(2 * RATE) / RATE
    noise = np.random.default_rng(0).normal(0, 0.05, 2 * RATE)
    chord = sum(0.1 * np.sin(2 * np.pi * hertz * t) for hertz in (262, 330, 392))
    assert moonshine.hear(b"") == ""
    assert moonshine.hear(silence(2000, RATE)) == ""
    assert moonshine.hear(from_float(noise)) == ""
    assert moonshine.hear(from_float(np.asarray(chord))) == ""


@pytest.mark.parametrize("lead_ms", [0, 300, 3000])
def test_leading_silence_does_not_matter(
    hibari: Hibari, moonshine: Moonshine, lead_ms: int
) -> None:
    spoken = b"".join(hibari.speak("What time is it?", "marin", 1.0))
    turn = silence(lead_ms, RATE) + resample(spoken, 24000, RATE)
    assert moonshine.hear(turn) == "What time is it?"


def test_the_moment_before_the_first_word_says_nothing(moonshine: Moonshine) -> None:
    """As a browser sends it: digital silence, then a codec fading in."""
    recording = Path(__file__).with_name("through_a_browser.wav")
    with wave.open(str(recording)) as sound:
        turn = sound.readframes(sound.getnframes())
    assert moonshine.hear(turn).startswith("What day is it")
