"""Speech to text."""

from __future__ import annotations

import os
import threading
from typing import Any, Protocol

from offhook.audio import skip_silence, to_float
from offhook.speech.optional import require

RATE = 16000
_FALSE_START_S = 0.3

# What this model makes of noise; nobody takes a turn to say only that.
_HEARD_IN_NOISE = "You"


class Recogniser(Protocol):
    """Hears what a turn says; safe to share between threads."""

    name: str

    def hear(self, pcm: bytes) -> str:
        """The words of a turn of PCM16 at 16 kHz; empty where nobody speaks."""


class Moonshine:
    """Moonshine "tiny" for English, whose weights are in its package."""

    name = "moonshine tiny-en"

    def __init__(self) -> None:
        package = require("moonshine_voice", "moonshine-voice")
        api = require("moonshine_voice.moonshine_api", "moonshine-voice")
        # Its threads wait by spinning: two take twice the work and are not faster.
        os.environ["MOONSHINE_ORT_SINGLE_THREAD"] = "1"
        self._model = package.Transcriber(
            str(package.get_model_path("tiny-en")),
            api.ModelArch.TINY,
            # Or it answers every call with a list of all samples that it was given.
            options={"return_audio_data": "false"},
        )
        self._lock = threading.Lock()

    def hear(self, pcm: bytes) -> str:
        """See Recogniser; this takes about 40 ms per second of audio."""
        # Long silence in front makes this model hear a "You" that nobody said.
        samples = to_float(skip_silence(pcm, RATE)).tolist()
        if not samples:
            return ""
        with self._lock:
            lines = self._model.transcribe_without_streaming(samples, RATE).lines
        texts = [
            line.text.strip() for line in lines if not _is_false_start(line, lines)
        ]
        said = " ".join(text for text in texts if text)
        return "" if said.rstrip(".") == _HEARD_IN_NOISE else said


def _is_false_start(line: Any, lines: list[Any]) -> bool:
    """Whether a line is what the model makes of the moment before somebody speaks.

    Its own segmenter often cuts off the first tenths of a second and hears a "You" in
    them; the real line then begins before that one has ended.
    """
    end = line.start_time + line.duration
    return line.duration < _FALSE_START_S and any(
        line is not other and line.start_time <= other.start_time < end
        for other in lines
    )
