"""How fast a caller's events are read."""

from __future__ import annotations

import math

# Events that may come at once, in seconds of the allowed rate.
_BURST_SECONDS = 2.0
# Who sends too much is read from this often, some events at a time: each wake-up costs.
_NAP_SECONDS = 0.05


class Pace:
    """Says when the next event of a caller may be read.

    Attributes:
        late: Whether the next has to wait.
        held: For how many seconds the caller has been held back without a pause.
    """

    def __init__(self, rate: float) -> None:
        """Allow so many events a second; after a pause, some at once."""
        self.late = False
        self.held = 0.0
        self._step = 1 / rate
        self._due = -math.inf
        # When the caller was first held back, and last, since the last pause.
        self._since = -math.inf
        self._last = -math.inf

    def take(self, now: float) -> float:
        """Count an event, and return how many seconds to wait for the next."""
        self._due = max(self._due, now - _BURST_SECONDS) + self._step
        wait = self._due - now
        if wait <= 0:
            return 0.0
        # What a wake-up that came late left unread is caught up with soon, and then it
        # is too much again. Who sends no more than the rate is not held back for a
        # burst's time after it was.
        if now - self._last > _BURST_SECONDS + _NAP_SECONDS:
            self._since = now
        self._last = now
        self.late = True
        self.held = now - self._since
        return max(wait, _NAP_SECONDS)
