"""uvicorn's WebSocket with a short way: events that can pass at once wake no task.

An application finds it as an extension of its scope, and needs it not: what does not go
the short way comes and goes as ASGI has it.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)
from websockets.protocol import State

from offhook.wire.frames import EXTENSION, Frames, text_frame

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

# What of uvicorn's is relied on beyond ASGI, as it was in 0.54.
_RELIED_ON = (
    "data_received",
    "handle_parser_exception",
    "receive",
    "run_asgi",
    "send_receive_event_to_app",
)
# How long a client may still send, of what closed it, before the connection is cut. Cut
# at once, with something of it unread, it would be reset, and the close frame be lost.
_FAREWELL_SECONDS = 1.0
# Linux tells by this of an end that cannot be read yet; others of a reset alone.
_ENDS = getattr(select, "POLLRDHUP", 0)
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
)
_WHY = (
    b'{"error":{"message":"The handshake cannot be read: a header is too long, or '
    b'malformed.","type":"invalid_request_error","code":"invalid_headers","param":null}}'
)


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

    def has_left(self) -> bool:
        """Whether the client has left, though its last may not have been read yet."""
        if self.transport.is_closing() or _has_ended(self.transport):
            return True
        if self.read_paused and self.writable.is_set():
            # Its end may wait behind what has no room here. But whom nobody holds any
            # more answers anything with a reset; an unasked pong means nothing else
            # (RFC 6455 §5.5.3).
            if self.conn.state is State.OPEN:
                self.conn.send_pong(b"")
                self.transport.write(b"".join(self.conn.data_to_send()))
        return False

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

    def data_received(self, data: bytes) -> None:
        """Take what was read."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.close_sent:
            # uvicorn would leave it without an answer.
            self.close_sent = True
            self.transport.write(_TOO_LONG % (len(_WHY), _WHY))
            self.transport.close()

    def handle_parser_exception(self) -> None:
        """Close with what the client did wrong, and give it time to hear that."""
        if self.close_sent:
            return
        close = self.conn.close_sent
        assert close is not None
        self.queue.put_nowait(
            {
                "type": "websocket.disconnect",
                "code": close.code,
                "reason": close.reason,
            }
        )
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(_FAREWELL_SECONDS, self.transport.close)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

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


def _has_ended(transport: asyncio.Transport) -> bool:
    """Whether the other side has closed, or reset, what is not read to its end."""
    connection = transport.get_extra_info("socket")
    if connection is None or not hasattr(select, "poll"):
        return False
    look = select.poll()
    look.register(connection.fileno(), _ENDS)
    return bool(look.poll(0))
