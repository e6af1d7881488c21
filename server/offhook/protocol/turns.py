"""Server VAD: voice activity in, the caller's turns out, on the audio's own clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

# How much evidence begins a turn: the log odds over the threshold, added up over
# frames in a row (Wald's sequential test). One frame that is sure is enough, a doubtful
# one needs others.
_EVIDENCE = 1.0
# Speech that fades counts as speech a little longer than speech that begins
# (Silero's own recommendation is 0.15 below the threshold).
_HYSTERESIS = 0.15


@dataclass(frozen=True)
class SpeechStarted:
    """The caller began to speak at this time of the call's audio."""

    at_ms: int


@dataclass(frozen=True)
class SpeechStopped:
    """The caller has been silent long enough; silence included."""

    at_ms: int


Turn = SpeechStarted | SpeechStopped


class TurnDetector:
    """Turns voice activity into turns.

    Args:
        threshold: The probability from which on a frame is speech.
        silence_ms: How long a pause ends a turn.
        since_ms: Where the first frame begins on the audio's clock.

    Attributes:
        speaking: Whether a turn is open.
    """

    def __init__(self, *, threshold: float, silence_ms: int, since_ms: int = 0) -> None:
        self.speaking = False
        self._threshold = threshold
        self._silence_ms = silence_ms
        self._evidence = 0.0
        self._onset_ms = since_ms
        self._last_voice_ms = 0
        self._last_ms = since_ms

    @property
    def pause_ms(self) -> int:
        """How long an open turn has been silent."""
        return self._last_ms - self._last_voice_ms if self.speaking else 0

    def resume(self) -> None:
        """Go on with a turn that another detector began."""
        self.speaking = True
        self._last_voice_ms = self._last_ms

    def stop(self) -> SpeechStopped:
        """End the turn here: the caller has said it all."""
        self.speaking = False
        return SpeechStopped(self._last_ms)

    def hear(self, at_ms: int, probability: float) -> Turn | None:
        """Take the activity of the frame that ends at `at_ms`."""
        began_ms, self._last_ms = self._last_ms, at_ms
        if self.speaking:
            if probability >= self._threshold - _HYSTERESIS:
                self._last_voice_ms = at_ms
            elif at_ms - self._last_voice_ms >= self._silence_ms:
                self.speaking = False
                return SpeechStopped(at_ms)
            return None
        if probability < self._threshold:
            self._evidence = 0.0
            return None
        if not self._evidence:
            self._onset_ms = began_ms
        self._evidence += _log_odds(probability) - _log_odds(self._threshold)
        if self._evidence < _EVIDENCE:
            return None
        self.speaking = True
        self._last_voice_ms = at_ms
        self._evidence = 0.0
        return SpeechStarted(self._onset_ms)


def _log_odds(probability: float) -> float:
    held = min(max(probability, 0.001), 0.999)
    return math.log(held / (1 - held))
