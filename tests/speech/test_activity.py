from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from offhook.audio import resample, to_float
from offhook.speech.activity import FRAME, RATE, Detector, Unmusical, silero

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from offhook.speech.synthesiser import Hibari


class Sure:
    """A detector that believes everything to this degree."""

    name = "sure"

    def __init__(self, probability: float) -> None:
        self._probability = probability

    def probability(self, frame: NDArray[np.float32]) -> float:
        return self._probability

    def reset(self) -> None:
        pass


def probabilities(detector: Detector, samples: NDArray[np.float32]) -> list[float]:
    ends = range(FRAME, len(samples) + 1, FRAME)
    return [detector.probability(samples[end - FRAME : end]) for end in ends]


def speech(hibari: Hibari) -> NDArray[np.float32]:
    spoken = b"".join(hibari.speak("Hello, how are you today?", "marin", 1.0))
    return to_float(resample(spoken, 24000, RATE))


def test_speech_is_speech(hibari: Hibari) -> None:
    found = probabilities(silero(), speech(hibari))
    assert np.mean(np.array(found) > 0.5) > 0.6


def test_silence_noise_and_a_beep_are_not() -> None:
    t = np.arange(RATE, dtype=np.float32) / RATE
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    for sound in (np.zeros(RATE), noise, 0.5 * np.sin(2 * np.pi * 1000 * t)):
        assert max(probabilities(silero(), sound.astype(np.float32))) < 0.5


def test_reset_forgets_the_stream(hibari: Hibari) -> None:
    detector, samples = silero(), speech(hibari)
    first = probabilities(detector, samples)
    assert probabilities(detector, samples) != first
    detector.reset()
    assert probabilities(detector, samples) == first


@pytest.mark.parametrize("believed", [0.5, 0.8])
def test_a_note_is_doubted_and_a_breath_is_not(believed: float) -> None:
    t = np.arange(RATE, dtype=np.float32) / RATE
    note = (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    breath = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    wary = Unmusical(Sure(believed))
    assert max(probabilities(wary, note)[1:]) < believed / 2
    wary.reset()
    assert probabilities(wary, breath) == pytest.approx([believed] * 31, abs=0.1)


@pytest.mark.parametrize("believed", [0.0, 0.1, 1.0])
def test_what_is_clear_is_not_doubted(believed: float) -> None:
    wary = Unmusical(Sure(believed))
    assert set(probabilities(wary, np.ones(RATE, np.float32))) == {believed}
