"""A wire to a side that calls back with each text, and cannot be held back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offhook.wire.base import close_frame
from offhook.wire.inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from offhook.errors import WireClosed

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
        self._inbox = Inbox()  # bounded by take

    @property
    def closed(self) -> WireClosed | None:
        """See Wire."""
        return self._inbox.closed

    def take(self, text: str) -> None:
        """Keep a text for whoever receives."""
        inbox = self._inbox
        if inbox.closed:
            return
        inbox.put(text)
        if len(inbox) > _UNREAD_TEXTS or inbox.characters > _UNREAD_CHARACTERS:
            self.end(4008, "too much is unread")

    def end(self, code: int, reason: str = "") -> None:
        """Note that the connection has ended, unless it had; what came can be read."""
        self._inbox.end(code, reason)

    async def send(self, text: str) -> None:
        """See Wire."""
        self._inbox.check()
        await self._send(text)
        self._inbox.check()

    async def receive(self) -> str:
        """See Wire."""
        return await self._inbox.receive()

    def __aiter__(self) -> AsyncIterator[str]:
        """See Wire."""
        return self._inbox.receive_all()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """See Wire; the other side learns neither code nor reason."""
        frame = close_frame(code, reason)
        self._inbox.clear()
        self.end(*frame)
        await self._leave()
