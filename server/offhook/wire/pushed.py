"""A wire to a side that calls back with each text, and cannot be held back."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from offhook.errors import WireClosed
from offhook.wire.base import close_frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

# What may be unread. An event left out would break the session: for more, the
# connection is closed.
_UNREAD_TEXTS = 4096
_UNREAD_CHARACTERS = 32 * 2**20


class Pushed:
    """A wire of callbacks: `take` what comes, and `end` when nothing comes any more.

    Args:
        send: Sends a text, and waits while too much is under way.
        leave: Ends the connection.
    """

    def __init__(
        self,
        send: Callable[[str], Awaitable[None]],
        leave: Callable[[], Awaitable[None]],
    ) -> None:
        self._send = send
        self._leave = leave
        self._close: tuple[int, str] | None = None
        self._unread: deque[str] = deque()  # bounded by take
        self._characters = 0
        self._receiving = False
        self._arrived = asyncio.Event()

    @property
    def closed(self) -> WireClosed | None:
        """See Wire."""
        return WireClosed(*self._close) if self._close else None

    def take(self, text: str) -> None:
        """Keep a text for whoever receives."""
        if self._close:
            return
        self._unread.append(text)
        self._characters += len(text)
        self._arrived.set()
        if len(self._unread) > _UNREAD_TEXTS or self._characters > _UNREAD_CHARACTERS:
            self.end(4008, "too much is unread")

    def end(self, code: int, reason: str = "") -> None:
        """Note that the connection has ended, unless it had; what came can be read."""
        self._close = self._close or (code, reason)
        self._arrived.set()

    async def send(self, text: str) -> None:
        """See Wire."""
        self._check()
        await self._send(text)
        self._check()

    async def receive(self) -> str:
        """See Wire."""
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
        text = self._unread.popleft()
        self._characters -= len(text)
        return text

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            while True:
                yield await self.receive()
        except WireClosed:
            return

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """See Wire; the other side learns neither code nor reason."""
        frame = close_frame(code, reason)
        self._unread.clear()
        self._characters = 0
        self.end(*frame)
        await self._leave()

    def _check(self) -> None:
        if closed := self.closed:
            raise closed
