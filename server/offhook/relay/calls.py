"""The live calls of this process: which grant opened which call, and how it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from offhook.errors import NotFound

_LIMIT = 10_000

HangUp = Callable[[], Awaitable[None]]


class _Call(NamedTuple):
    grant_id: str
    hang_up: HangUp
    ended: Callable[[], None]


class Calls:
    """Remembers each call's grant, so that only its caller can hang it up.

    When full it forgets the oldest call, which then ends like one whose page was
    closed: the other side notices that the media stopped.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._calls: dict[str, _Call] = {}

    def add(
        self, call_id: str, grant_id: str, hang_up: HangUp, ended: Callable[[], None]
    ) -> None:
        """Remember a call; `ended` is called once, when it is forgotten."""
        if len(self._calls) >= self._limit:
            self.remove(next(iter(self._calls)))
        self._calls[call_id] = _Call(grant_id, hang_up, ended)

    def find(self, call_id: str, grant_id: str) -> HangUp:
        """Return what ends a call, for the grant that opened it.

        Raises:
            NotFound: It did not, or there is no such call; which of the two is
                nobody's business.
        """
        call = self._calls.get(call_id)
        if call is None or call.grant_id != grant_id:
            raise NotFound(
                "No session found for the provided call_id", code="call_id_not_found"
            )
        return call.hang_up

    def remove(self, call_id: str) -> None:
        """Forget a call that has ended."""
        if call := self._calls.pop(call_id, None):
            call.ended()
