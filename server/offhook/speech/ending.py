"""Whether a caller who pauses has said all, or only thinks."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from offhook.audio import byte_length, to_float
from offhook.speech.optional import require

RATE = 16000

_Spectrum = NDArray[np.float64]

# Smart Turn looks at 8 s, as Whisper's feature extractor shows it sound: each 10 ms,
# the power of 25 ms in 80 bands.
_LOOK_MS = 8000
_HOP, _WINDOW, _BANDS = 160, 400, 80
_SURE = 0.5


_NEVER_LAST = re.compile(
    r"\b(?:um+|uh+|er+|erm|hmm+|and|or|but|nor|because|if|than|the|an?|to|of|with|"
    r"my|your|our|their|i'm|it's|i'd|i'll)[.?!]?$"
)
# Only in questions: "Where are you from?"
_SELDOM_LAST = re.compile(r"\b(?:for|from|at|by|into|between|while)[.!]?$")
_TRAILING = ("-", "\N{EN DASH}", "\N{EM DASH}", "\N{HORIZONTAL ELLIPSIS}", "...")


class Ending(Protocol):
    """Tells a turn that is over from a pause within it; safe to share."""

    name: str

    def complete(self, pcm: bytes, text: str) -> bool:
        """Whether the caller has said all.

        Args:
            pcm: The turn until now, PCM16 at 16 kHz, its pause included.
            text: What was recognised in it.
        """


class TextCue:
    """Judges by the last word: nobody ends with an "and"."""

    name = "last words"

    def complete(self, pcm: bytes, text: str) -> bool:
        """See Ending."""
        return not (_is_open(text) or text.rstrip().endswith(","))


class SmartTurn:
    """Smart Turn 3.2, a model that listens to the melody of the last 8 seconds.

    It is deaf to words, so what no sentence ends with is looked for here, too.

    Args:
        path: The model, in ONNX.
    """

    name = "smart-turn 3.2"

    def __init__(self, path: Path) -> None:
        onnxruntime = require("onnxruntime", "hibari-tts")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._model = onnxruntime.InferenceSession(str(path), options)
        self._bank = _mel_bank()
        self._taper = np.hanning(_WINDOW + 1)[:-1]

    @staticmethod
    def find() -> Path | None:
        """Where the model is, if pipecat-ai is installed; that is not imported."""
        package = importlib.util.find_spec("pipecat")
        for folder in (package and package.submodule_search_locations) or ():
            path = Path(folder, "audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx")
            if path.is_file():
                return path
        return None

    def complete(self, pcm: bytes, text: str) -> bool:
        """See Ending; this takes 50 to 100 ms."""
        return not _is_open(text) and self.probability(pcm) > _SURE

    def probability(self, pcm: bytes) -> float:
        """How likely the caller has said all, by PCM16 at 16 kHz."""
        features = self._features(to_float(pcm[-byte_length(_LOOK_MS, RATE) :]))
        [[answer]] = self._model.run(None, {"input_features": features[np.newaxis]})
        return float(answer.item())

    def _features(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bands by hops, their logarithms scaled to about -1 to 1."""
        look = np.zeros(_LOOK_MS * RATE // 1000)
        look[len(look) - len(samples) :] = samples
        look = (look - look.mean()) / np.sqrt(look.var() + 1e-7)
        padded = np.pad(look, _WINDOW // 2, mode="reflect")
        hops = sliding_window_view(padded, _WINDOW)[:-1:_HOP]
        power = np.abs(np.fft.rfft(hops * self._taper)) ** 2
        level = np.log10(np.maximum(power @ self._bank, 1e-10)).T
        # 80 dB below the loudest is silence.
        scaled: _Spectrum = (np.maximum(level, level.max() - 8) + 4) / 4
        return scaled.astype(np.float32)


def ending() -> Ending:
    """Load the best judge that is installed."""
    path = SmartTurn.find()
    return SmartTurn(path) if path else TextCue()


def _is_open(text: str) -> bool:
    """Whether more must follow these words, or there are none."""
    text = text.strip().lower()
    if not text or text.endswith(_TRAILING):
        return True
    return bool(_NEVER_LAST.search(text) or _SELDOM_LAST.search(text))


def _mel_bank() -> _Spectrum:
    """Triangles of equal area on Slaney's mel scale: frequencies by bands.

    The scale is linear to 1000 Hz (15 mel, each 200/3 Hz wide) and logarithmic above
    it (27 mel to 6400 Hz).
    """
    octave = np.log(6.4) / 27
    top = 15 + np.log(RATE / 2 / 1000) / octave
    mel = np.linspace(0, top, _BANDS + 2)
    edges = np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * octave))
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    hertz = np.linspace(0, RATE / 2, _WINDOW // 2 + 1)[:, np.newaxis]
    rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    bank: _Spectrum = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    return bank
