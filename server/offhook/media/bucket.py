"""A token bucket."""

from __future__ import annotations


class Bucket:
    """Lets so much happen per second, and a burst of more.

    It is full at first. Time is an argument, in seconds from anywhere.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = self._left = burst
        self._at: float | None = None

    def take(self, now: float, amount: float = 1) -> bool:
        """Take an amount out if it is there, and tell whether it was."""
        if self._at is not None:
            grown = self._left + (now - self._at) * self._rate
            self._left = min(self._burst, grown)
        self._at = now
        if amount > self._left:
            return False
        self._left -= amount
        return True
