"""uvicorn's WebSocket with a short way: events that can pass at once wake no task.

An application finds it as the extension `offhook.direct` of its scope, and needs it
not: what does not go the short way comes and goes as ASGI has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)
from websockets.protocol import State

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

EXTENSION = "offhook.direct"


class DirectWebSocket(WebSocketsSansIOProtocol):
    """Both ends of `wire.base.Direct`, beside those of ASGI."""

    _take: Callable[[str], bool] | None = None
    _waited_for = False

    def offer(self, text: str) -> bool:
        """Send a text if that can be done at once; say whether."""
        if not self.writable.is_set() or self.conn.state is not State.OPEN:
            return False
        self.conn.send_text(text.encode())
        self.transport.write(b"".join(self.conn.data_to_send()))
        return True

    def divert(self, take: Callable[[str], bool]) -> None:
        """Offer each text that is waited for to this, before the application."""
        self._take = take

    async def run_asgi(self) -> None:
        """Run the application, and let it know."""
        extensions: MutableMapping[str, Any] = self.scope["extensions"]
        extensions[EXTENSION] = self
        await super().run_asgi()

    async def receive(self) -> Any:
        """Wait for the next message."""
        self._waited_for = self.queue.empty()
        try:
            return await super().receive()
        finally:
            self._waited_for = False

    def send_receive_event_to_app(self) -> None:
        """Hand on a message that is complete."""
        if self._take and self._waited_for and self._passes(self._take):
            self.frames = []
            return
        # Behind one that is on its way through the queue, none may go the short way.
        self._waited_for = False
        super().send_receive_event_to_app()

    def _passes(self, take: Callable[[str], bool]) -> bool:
        if len(self.frames) != 1 or self.curr_msg_data_type != "text":
            return False
        try:
            return take(str(self.frames[0], "utf-8"))
        except UnicodeDecodeError:
            return False
