"""Text to speech."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from offhook.audio import from_float, skip_silence
from offhook.speech.optional import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RATE = 24000

_LEAD_MS = 40  # of silence before the first word
_SPEEDS = (0.25, 1.5)  # what the Realtime API allows
_MARKUP = re.compile(r"[*_`#|~]+")  # a chat model's emphasis, headings and code
_RESPELLED = {"OPENAI": "OpenAI", "Offhook": "Off hook"}  # else they are misread


class Synthesiser(Protocol):
    """Says texts; safe to share between threads."""

    name: str

    def speak(self, text: str, voice: str, speed: float) -> Iterator[bytes]:
        """Say a text as PCM16 at 24 kHz, one chunk per sentence.

        Args:
            text: What to say.
            voice: One of the Realtime API's voices; another name gives the default.
            speed: 1 is the usual pace; held within 0.25 and 1.5.
        """


@dataclass(frozen=True)
class Voice:
    """How one speaker differs from the only one in the model.

    Attributes:
        pitch: Factor on the fundamental frequency.
        formants: Factor on the spectral envelope's frequencies; below 1 is the
            longer throat of a bigger person.
        pace: Factor on the speed.
    """

    pitch: float = 1.0
    formants: float = 1.0
    pace: float = 1.0


DEFAULT_VOICE = "marin"
VOICES = {
    "alloy": Voice(0.82, 0.98),
    "ash": Voice(0.62, 0.87, 0.98),
    "ballad": Voice(0.70, 0.98, 0.94),
    "cedar": Voice(0.54, 0.92, 0.96),
    "coral": Voice(1.12, 1.00, 1.03),
    "echo": Voice(0.72, 0.88, 1.04),
    "marin": Voice(),
    "sage": Voice(0.92, 0.92, 0.97),
    "shimmer": Voice(1.24, 1.08, 1.02),
    "verse": Voice(0.82, 0.89, 1.05),
}


class Hibari:
    """Hibari's network, with its vocoder driven from here to make it ten voices."""

    name = "hibari"

    def __init__(self) -> None:
        self._dsp = require("hibari.dsp", "hibari-tts")
        self._model = require("hibari", "hibari-tts").Hibari(threads=1)
        self._lock = threading.Lock()

    def speak(self, text: str, voice: str, speed: float) -> Iterator[bytes]:
        """See Synthesiser; this takes about 10 ms per second of audio."""
        speaker = VOICES.get(voice, VOICES[DEFAULT_VOICE])
        pace = min(max(speed, _SPEEDS[0]), _SPEEDS[1]) * speaker.pace
        with self._lock:
            sentences = self._model.phonemize(_readable(text))
        # A fixed seed makes the same text the same samples, so tests can be exact.
        noise = np.random.default_rng(0)
        for phonemes in sentences:
            ids = self._model.ids(phonemes)
            if len(ids) > 2:  # the first and the last only pad
                with self._lock:
                    samples = self._synthesise(ids, speaker, pace, noise)
                # The model speaks softly: 6 dB more, and no hard clipping. It begins
                # with 300 ms of silence, which a caller would have to wait for.
                loud = from_float(np.tanh(2 * samples))
                yield skip_silence(loud, RATE, keep_ms=_LEAD_MS)

    def _synthesise(
        self, ids: list[int], speaker: Voice, pace: float, noise: np.random.Generator
    ) -> NDArray[np.float32]:
        """Do as Hibari.from_ids, but change the speaker before the vocoder."""
        inputs = {"ids": np.array([ids]), "speed": np.array([pace], np.float32)}
        *envelopes, phase, pitch = (
            part[0] for part in self._model.sess.run(None, inputs)
        )
        if speaker.formants != 1:
            envelopes = [_stretch(part, speaker.formants) for part in envelopes]
        samples: NDArray[np.float32] = self._dsp.synth(
            *envelopes, phase, pitch * np.float32(speaker.pitch), noise
        )
        return samples


def _readable(text: str) -> str:
    text = _MARKUP.sub(" ", text)
    for word, respelled in _RESPELLED.items():
        text = text.replace(word, respelled)
    return text


def _stretch(envelope: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Move each frame's spectrum (its rows are frequencies) up by a factor."""
    top = len(envelope) - 1
    source = np.minimum(np.arange(top + 1, dtype=np.float32) / np.float32(factor), top)
    below = np.minimum(source.astype(np.intp), top - 1)
    share = (source - below)[:, np.newaxis]
    moved: NDArray[np.float32] = (
        envelope[below] * (1 - share) + envelope[below + 1] * share
    )
    return moved
