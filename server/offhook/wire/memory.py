"""A wire without a network: a connected pair in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offhook.wire.base import close_frame
from offhook.wire.inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offhook.errors import WireClosed
    from offhook.wire.base import Wire

# So many texts may be unread; whoever sends more waits, with one text each.
_UNREAD = 256


def pair() -> tuple[Wire, Wire]:
    """Make two ends: what is sent into one is received from the other."""
    left, right = Inbox(), Inbox()
    return _End(left, right), _End(right, left)


class _End:
    """One end of a pair.

    Args:
        near: What is received here.
        far: What is received from the other end.
    """

    def __init__(self, near: Inbox, far: Inbox) -> None:
        self._near = near
        self._far = far

    @property
    def closed(self) -> WireClosed | None:
        return self._near.closed

    async def send(self, text: str) -> None:
        self._near.check()
        # Put before waiting, as a socket does: the order is that of the calls.
        self._far.put(text)
        await self._far.room(_UNREAD)
        self._near.check()

    async def receive(self) -> str:
        return await self._near.receive()

    def __aiter__(self) -> AsyncIterator[str]:
        return self._near.receive_all()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        frame = close_frame(code, reason)
        self._near.clear()
        self._near.end(*frame)
        self._far.end(*frame)
