from __future__ import annotations

import re
from typing import TYPE_CHECKING

import jiwer
import numpy as np
import pytest

from offhook.audio import dbfs, duration_ms, from_float, resample, to_float
from offhook.speech.numerals import digits
from offhook.speech.optional import require
from offhook.speech.synthesiser import RATE, VOICES

if TYPE_CHECKING:
    from offhook.speech.recogniser import Moonshine
    from offhook.speech.synthesiser import Hibari

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.",
    "Please turn on the kitchen lights before dinner.",
    "We walked along the river and talked about music.",
    "It rained the whole weekend, so we stayed at home.",
    "My sister is a doctor in a small town.",
    "The train to the airport leaves at seven in the morning.",
    "I would like a cup of coffee without sugar.",
    "Seven times eight is fifty-six.",
]
LONGEST = max(SENTENCES, key=len)


def say(hibari: Hibari, text: str, voice: str = "marin", speed: float = 1.0) -> bytes:
    return b"".join(hibari.speak(text, voice, speed))


def word_errors(
    hibari: Hibari, moonshine: Moonshine, sentences: list[str], voice: str
) -> float:
    heard = [
        moonshine.hear(resample(say(hibari, sentence, voice), RATE, 16000))
        for sentence in sentences
    ]
    rate: float = jiwer.wer([plain(s) for s in sentences], [plain(s) for s in heard])
    return rate


def plain(text: str) -> str:
    return digits(re.sub(r"[^a-z0-9' -]", "", text.lower()))


def test_default_voice_is_understood(hibari: Hibari, moonshine: Moonshine) -> None:
    assert word_errors(hibari, moonshine, SENTENCES, "marin") <= 0.05


@pytest.mark.parametrize("voice", sorted(VOICES))
def test_every_voice_is_understood(
    hibari: Hibari, moonshine: Moonshine, voice: str
) -> None:
    assert word_errors(hibari, moonshine, SENTENCES[:3], voice) <= 0.10


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        # A recogniser may write what it hears in words, in digits, or joined.
        ("It is 10:08 PM.", {"itis10o8pm", "itis1008pm"}),
        ("12 times 12 is 144.", {"12times12is144"}),
        ("1 mile is 5,280 feet.", {"1mileis5280feet"}),
        (
            "Set OPENAI_API_KEY to talk to the real model.",
            {"setopenaiapikeytotalktotherealmodel"},
        ),
    ],
)
def test_numbers_and_names_are_understood(
    hibari: Hibari, moonshine: Moonshine, text: str, heard: set[str]
) -> None:
    words = plain(moonshine.hear(resample(say(hibari, text), RATE, 16000)))
    assert words.replace(" ", "") in heard


def features(pcm: bytes) -> tuple[float, float]:
    """Median pitch in hertz, and the centre of the spectrum in hertz."""
    samples = to_float(pcm)
    frames = np.lib.stride_tricks.sliding_window_view(samples, 1200)[::600]
    loud = frames[np.sqrt((frames**2).mean(1)) > 0.05] * np.hanning(1200)
    spectra = np.abs(np.fft.rfft(loud, 4096)) ** 2
    shifts = np.fft.irfft(spectra)[:, RATE // 350 : RATE // 70]
    pitch = RATE / (np.argmax(shifts, axis=1) + RATE // 350)
    hertz = np.fft.rfftfreq(4096, 1 / RATE)
    return float(np.median(pitch)), float(
        (spectra.sum(0) * hertz).sum() / spectra.sum()
    )


def test_voices_can_be_told_apart(hibari: Hibari) -> None:
    measured = {voice: features(say(hibari, LONGEST, voice)) for voice in VOICES}
    for one, (pitch, centre) in measured.items():
        for other, (other_pitch, other_centre) in measured.items():
            if one < other:
                # Listeners notice a few percent of either; a semitone is 6 percent.
                apart = max(
                    abs(np.log(pitch / other_pitch)),
                    abs(np.log(centre / other_centre)),
                )
                assert apart > 0.06, (one, other, measured)


def test_neutral_voice_is_exactly_the_model_s_own(hibari: Hibari) -> None:
    """Holds the version of the package whose inner parts are used."""
    text = "Hello there. How are you?"
    model = require("hibari", "hibari-tts").Hibari(threads=1)
    own = [from_float(np.tanh(2 * part)) for part in model.stream(text, seed=0)]
    said = list(hibari.speak(text, "marin", 1.0))
    assert len(said) == len(own) == 2
    for one, other in zip(said, own, strict=True):
        assert other.endswith(one)
        # What was cut from the front is silence, and most of it.
        silent_ms = duration_ms(other, RATE) - duration_ms(one, RATE)
        assert 200 < silent_ms < 400
        assert dbfs(other[: len(other) - len(one)]) < -50


def test_unknown_voice_is_the_default(hibari: Hibari) -> None:
    assert say(hibari, "Hello.", "nobody") == say(hibari, "Hello.", "marin")


def test_speed(hibari: Hibari) -> None:
    lengths = [
        duration_ms(say(hibari, LONGEST, speed=speed), RATE)
        for speed in (0.25, 0.5, 1.0, 1.5)
    ]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[1] == pytest.approx(2 * lengths[2], rel=0.15)
    assert say(hibari, "Hello.", speed=9) == say(hibari, "Hello.", speed=1.5)
    assert say(hibari, "Hello.", speed=0) == say(hibari, "Hello.", speed=0.25)


def test_loudness(hibari: Hibari) -> None:
    pcm = say(hibari, LONGEST)
    assert -26 < dbfs(pcm) < -16
    assert np.abs(np.frombuffer(pcm, "<i2").astype(int)).max() < 32767


def test_markup_is_not_spoken(hibari: Hibari) -> None:
    assert say(hibari, "**Hello** there.") == say(hibari, "Hello there.")


@pytest.mark.parametrize("text", ["", "  ", "...", "**", "\U0001f600"])
def test_nothing_to_say(hibari: Hibari, text: str) -> None:
    assert duration_ms(say(hibari, text), RATE) < 1000
