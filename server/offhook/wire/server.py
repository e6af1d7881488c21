"""uvicorn's WebSocket with a short way: events that can pass at once wake no task.

An application finds it as an extension of its scope, and needs it not: what does not go
the short way comes and goes as ASGI has it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)
from websockets.protocol import State

from offhook.wire.frames import EXTENSION, Frames, text_frame

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

# What of uvicorn's is relied on beyond ASGI, as it was in 0.54.
_RELIED_ON = ("receive", "run_asgi", "send_receive_event_to_app")


def websocket_protocol() -> Any:
    """Choose what uvicorn takes as its `ws`: ours, unless uvicorn has changed."""
    known = all(hasattr(WebSocketsSansIOProtocol, name) for name in _RELIED_ON)
    return DirectWebSocket if known else "websockets-sansio"


class DirectWebSocket(Frames, WebSocketsSansIOProtocol, asyncio.BufferedProtocol):
    """Has a `wire.frames.Direct` beside what ASGI has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what uvicorn gives."""
        super().__init__(*args, **kwargs)
        # At DEBUG, websockets logs the headers with their keys, and what is said.
        self.conn.debug = False

    def offer(self, text: str) -> bool:
        """Send a text if that can be done at once; say whether."""
        if not self.writable.is_set() or self.conn.state is not State.OPEN:
            return False
        if self.transport.is_closing():
            return False
        self.transport.write(text_frame(text, masked=False))
        return True

    def divert(self, take: Callable[[str], bool]) -> None:
        """Offer each text that is waited for to this, before the application."""
        super().divert(take)
        # No client has anything to say before it is accepted, and this comes at once
        # afterwards. Who speaks earlier is misunderstood.
        self.begin_frames()

    async def run_asgi(self) -> None:
        """Run the application, and let it know."""
        extensions: MutableMapping[str, Any] = self.scope["extensions"]
        extensions[EXTENSION] = self
        await super().run_asgi()
        if not self.writable.is_set():
            # What a client has not read by the end would keep its socket open.
            self.transport.abort()

    async def receive(self) -> Any:
        """Wait for the next message."""
        self.waited_for = self.queue.empty()
        try:
            return await super().receive()
        finally:
            self.waited_for = False

    def send_receive_event_to_app(self) -> None:
        """Hand on a message that is complete."""
        # Behind one that is on its way through the queue, none may go the short way.
        self.waited_for = False
        super().send_receive_event_to_app()
