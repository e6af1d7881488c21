"""The live calls of this process: which grant opened which call."""

from __future__ import annotations

from offhook.errors import NotFound

_LIMIT = 10_000


class Calls:
    """Remembers each call's grant, so that only its caller can hang it up.

    When full it forgets the oldest call, which then ends like one whose page was
    closed: the upstream notices that the media stopped.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._grants: dict[str, str] = {}

    def add(self, call_id: str, grant_id: str) -> None:
        """Remember a call."""
        if len(self._grants) >= self._limit:
            del self._grants[next(iter(self._grants))]
        self._grants[call_id] = grant_id

    def check(self, call_id: str, grant_id: str) -> None:
        """Check that this grant opened this call.

        Raises:
            NotFound: It did not, or there is no such call; which of the two is
                nobody's business.
        """
        if self._grants.get(call_id) != grant_id:
            raise NotFound(
                "No session found for the provided call_id", code="call_id_not_found"
            )

    def remove(self, call_id: str) -> None:
        """Forget a call that has ended."""
        self._grants.pop(call_id, None)
