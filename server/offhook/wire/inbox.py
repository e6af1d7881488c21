"""What has come over a wire and is not received yet, and how the wire ended."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from offhook.errors import WireClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Inbox:
    """The receiving half of a wire whose texts are put in as they come.

    Who puts them in bounds them.

    Attributes:
        characters: How many are unread.
    """

    def __init__(self) -> None:
        self.characters = 0
        self._texts: deque[str] = deque()  # bounded by who puts
        self._close: tuple[int, str] | None = None
        self._receiving = False
        # Each is also set by the end.
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def closed(self) -> WireClosed | None:
        """See Wire."""
        return WireClosed(*self._close) if self._close else None

    def check(self) -> None:
        """Raise how the wire ended, if it did."""
        if closed := self.closed:
            raise closed

    def put(self, text: str) -> None:
        """Keep a text for whoever receives."""
        self._texts.append(text)
        self.characters += len(text)
        self._arrived.set()

    def end(self, code: int, reason: str) -> None:
        """Note that the wire has ended, unless it had; what came can be received."""
        self._close = self._close or (code, reason)
        self._arrived.set()
        self._taken.set()

    def clear(self) -> None:
        """Drop what is unread."""
        self._texts.clear()
        self.characters = 0

    async def receive(self) -> str:
        """See Wire."""
        if self._receiving:
            raise RuntimeError("another task is already receiving")
        self._receiving = True
        try:
            while not self._texts:
                self.check()
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._receiving = False
        text = self._texts.popleft()
        self.characters -= len(text)
        self._taken.set()
        return text

    async def receive_all(self) -> AsyncIterator[str]:
        """See `Wire.__aiter__`."""
        try:
            while True:
                yield await self.receive()
        except WireClosed:
            return

    async def room(self, unread: int) -> None:
        """Wait while more texts than that are unread and the wire is open."""
        while len(self._texts) > unread and not self._close:
            self._taken.clear()
            await self._taken.wait()
