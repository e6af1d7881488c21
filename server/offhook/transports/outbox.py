"""What waits to be sent, so that sending never has to wait."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from offhook.errors import InvalidRequest, ServerError, WireClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from offhook.wire.base import Wire

# Six minutes of speech. Who sends more does not drain, and is told so.
_UNSENT_CHARACTERS = 24 * 2**20


class Outbox:
    """Texts in order, on their way to whatever wire there is."""

    def __init__(self) -> None:
        self._texts: deque[str] = deque()  # bounded by twice _UNSENT_CHARACTERS
        self._characters = 0
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def admit(self, characters: int) -> None:
        """Ask whether there is room, before anything is done that would need it.

        Raises:
            ServerError: Too much waits already.
        """
        if self._characters + characters > _UNSENT_CHARACTERS:
            raise _full()

    def put(self, text: str) -> None:
        """Send a text as soon as it can be; what was admitted has room.

        Raises:
            ServerError: What was not asked about is too much, too.
        """
        if self._characters + len(text) > 2 * _UNSENT_CHARACTERS:
            raise _full()
        self._texts.append(text)
        self._characters += len(text)
        self._filled.set()
        self._emptied.clear()

    async def drain(self) -> None:
        """Wait until nothing waits any more."""
        await self._emptied.wait()

    def clear(self) -> None:
        """Drop what waits: there is nobody to send it to."""
        self._texts.clear()
        self._characters = 0
        self._emptied.set()

    async def write(
        self, wire: Wire, refused: Callable[[InvalidRequest], None]
    ) -> None:
        """Send until cancelled, or until the wire ends; whoever reads tells why.

        Args:
            wire: Where to.
            refused: Called where a text is one that the wire does not take.
        """
        while True:
            while self._texts:
                # Kept until it has left: a wire that ends in between is no loss.
                text = self._texts[0]
                try:
                    await wire.send(text)
                except WireClosed:
                    return
                except InvalidRequest as error:
                    refused(error)
                if self._texts and self._texts[0] is text:
                    self._texts.popleft()
                    self._characters -= len(text)
            self._emptied.set()
            self._filled.clear()
            await self._filled.wait()


def _full() -> ServerError:
    return ServerError(
        "Too much waits to be sent: await drain() between large pieces.",
        code="send_buffer_full",
    )
