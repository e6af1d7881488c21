"""One sound under another: gain without clicks, and room for speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PCM16 = np.dtype("<i2")
# Speech is louder than this over a frame, a room is not: -45 dBFS.
_SPEECH = 10**-4.5
# Words have pauses in them.
_HOLD_MS = 300
_ATTACK_MS = 60
_RELEASE_MS = 600


def amplitude(db: float) -> float:
    """The factor that changes a level by so many dB."""
    return float(10 ** (db / 20))


class Ducking:
    """How much quieter a sound has to be while somebody speaks over it.

    Args:
        depth_db: The change under speech, such as -12.
    """

    def __init__(self, depth_db: float) -> None:
        self._depth = amplitude(depth_db)
        self._gain = 1.0
        self._hold_ms = 0

    def follow(self, speech: float, ms: int) -> float:
        """Take the power of the next `ms` of speech, and return the gain at their end.

        The power is that of `power`.
        """
        if speech > _SPEECH:
            self._hold_ms = _HOLD_MS
        else:
            self._hold_ms = max(0, self._hold_ms - ms)
        if self._hold_ms:
            self._gain = max(self._depth, self._gain - self._step(ms, _ATTACK_MS))
        else:
            self._gain = min(1.0, self._gain + self._step(ms, _RELEASE_MS))
        return self._gain

    def _step(self, ms: int, whole_ms: int) -> float:
        return (1 - self._depth) * ms / whole_ms


class Fade:
    """A gain that moves to where it is sent, in a given time for the whole way.

    Args:
        ms: From silence to full; 0 is at once.
    """

    def __init__(self, ms: int) -> None:
        self._ms = ms
        self._gain = 0.0
        self._goal = 1.0

    @property
    def over(self) -> bool:
        """Whether it has faded out."""
        return self._goal == self._gain == 0.0

    def out(self) -> None:
        """Move to silence from now on."""
        self._goal = 0.0

    def pass_on(self, ms: int) -> float:
        """Let `ms` pass, and return the gain at their end."""
        step = ms / self._ms if self._ms else 1.0
        move = min(step, max(-step, self._goal - self._gain))
        self._gain += move
        return self._gain


def samples(pcm: bytes) -> NDArray[np.float32]:
    """PCM16 as numbers from -32768 to 32767."""
    return np.frombuffer(pcm, _PCM16).astype(np.float32)


def power(pcm: NDArray[np.float32]) -> float:
    """The mean square of samples, 1 for full scale."""
    return float(np.dot(pcm, pcm)) / len(pcm) / 32768**2


def mix(
    pcm: NDArray[np.float32],
    other: NDArray[np.int16],
    before: float,
    after: float,
) -> None:
    """Add a piece of another sound.

    Args:
        pcm: The one; it is changed.
        other: The other; where it is shorter, there is silence.
        before: The gain of the other at its begin.
        after: That at the end of `pcm`. It moves evenly: a step would click.
    """
    if before == after:
        pcm[: len(other)] += other * np.float32(after)
    else:
        gain = np.linspace(before, after, len(pcm), dtype=np.float32)
        pcm[: len(other)] += other * gain[: len(other)]


def pcm16(pcm: NDArray[np.float32]) -> bytes:
    """Give samples as PCM16; what is too loud is clipped, not wrapped."""
    np.maximum(pcm, -32768, out=pcm)  # np.clip takes three times as long
    np.minimum(pcm, 32767, out=pcm)
    return pcm.astype(_PCM16).tobytes()
