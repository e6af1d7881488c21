"""A wire without a network: a connected pair in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from offhook.errors import WireClosed
from offhook.wire.base import close_frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offhook.wire.base import Wire

# So many texts may be unread; whoever sends more waits, with one text each.
_UNREAD = 256


def pair() -> tuple[Wire, Wire]:
    """Make two ends: what is sent into one is received from the other."""
    left, right = _End(), _End()
    left.peer, right.peer = right, left
    return left, right


class _End:
    """One end of a pair.

    Attributes:
        peer: The other end.
    """

    peer: _End

    def __init__(self) -> None:
        self._close: tuple[int, str] | None = None
        self._unread: deque[str] = deque()  # bounded by _UNREAD
        self._receiving = False
        # Each is also set by a close.
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def closed(self) -> WireClosed | None:
        return WireClosed(*self._close) if self._close else None

    async def send(self, text: str) -> None:
        self._check()
        # Put before waiting, as a socket does: the order is that of the calls.
        await self.peer.take(text)
        self._check()

    async def receive(self) -> str:
        if self._receiving:
            raise RuntimeError("another task is already receiving")
        self._receiving = True
        try:
            while not self._unread:
                self._check()
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._receiving = False
        self._room.set()
        return self._unread.popleft()

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            while True:
                yield await self.receive()
        except WireClosed:
            return

    async def close(self, code: int = 1000, reason: str = "") -> None:
        frame = close_frame(code, reason)
        self._unread.clear()
        self.end(frame)
        self.peer.end(frame)

    async def take(self, text: str) -> None:
        """Keep a text for the reader, and wait for room while there is too much."""
        self._unread.append(text)
        self._arrived.set()
        while len(self._unread) > _UNREAD and not self._close:
            self._room.clear()
            await self._room.wait()

    def end(self, frame: tuple[int, str]) -> None:
        """Note that either side has closed, and wake all who wait."""
        self._close = self._close or frame
        self._arrived.set()
        self._room.set()

    def _check(self) -> None:
        if closed := self.closed:
            raise closed
