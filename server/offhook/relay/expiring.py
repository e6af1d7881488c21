"""A bounded table that forgets by the clock."""

from __future__ import annotations

from typing import Generic, TypeVar

from offhook.errors import ServerError

T = TypeVar("T")


class Expiring(Generic[T]):
    """Keeps values until their time; when full it refuses, and forgets nothing.

    Forgetting early would let a spent grant be spent again. Never waits, so that no
    other task comes between a look and a change.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: dict[str, tuple[float, T]] = {}

    def put(self, key: str, value: T, expires: float, now: float) -> None:
        """Keep a value until `expires`.

        Raises:
            ServerError: The table is full of values that are still valid.
        """
        if len(self._items) >= self._limit:
            self._prune(now)
        if len(self._items) >= self._limit:
            raise ServerError(
                "The server has too many calls at once: try again in a minute.",
                code="server_busy",
                status=503,
                retry_after="60",
            )
        self._items[key] = (expires, value)

    def get(self, key: str, now: float) -> T | None:
        """Find a value that has not expired."""
        expires, value = self._items.get(key, (now, None))
        return value if expires > now else None

    def pop(self, key: str, now: float) -> T | None:
        """Find a value that has not expired, and forget it."""
        value = self.get(key, now)
        self._items.pop(key, None)
        return value

    def _prune(self, now: float) -> None:
        self._items = {k: item for k, item in self._items.items() if item[0] > now}
