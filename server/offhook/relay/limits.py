"""How many calls there may be, and how many of them one caller may hold."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from offhook.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Callable

# Calls last minutes: to ask more often helps nobody.
_RETRY_AFTER = "30"


class Limits:
    """Gives each call a place, and refuses those for which there is none.

    Args:
        calls: How many there may be.
        per_caller: How many of one caller.
    """

    def __init__(self, calls: int, per_caller: int) -> None:
        self._calls = calls
        self._per_caller = per_caller
        self._held: Counter[str | None] = Counter()

    @property
    def held(self) -> int:
        """How many places are taken."""
        return self._held.total()

    def take(self, caller: str | None) -> Callable[[], None]:
        """Take a place.

        Args:
            caller: Who calls; None if that is not known, which only the limit of all
                calls holds for.

        Returns:
            Gives it back; safe to call twice.

        Raises:
            CallerError: 429 `rate_limit_exceeded`.
        """
        if caller is not None and self._held[caller] >= self._per_caller:
            raise _refusal("You have too many calls at once: end one, or wait.")
        if self.held >= self._calls:
            raise _refusal("There are too many calls at once: try again later.")
        self._held[caller] += 1
        taken = True

        def leave() -> None:
            nonlocal taken
            if taken:
                taken = False
                self._held -= Counter({caller: 1})  # forgets who has none left

        return leave


def _refusal(message: str) -> CallerError:
    return CallerError(
        message, code="rate_limit_exceeded", status=429, retry_after=_RETRY_AFTER
    )
