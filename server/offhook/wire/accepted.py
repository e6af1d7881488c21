"""A wire over a WebSocket that somebody else accepted: a framework, or websockets."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from offhook.errors import WireClosed
from offhook.wire.base import close_frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# How long the other side has to answer a close.
_FAREWELL_SECONDS = 1.0


@runtime_checkable
class AsgiWebSocket(Protocol):
    """What Starlette's and FastAPI's WebSocket have, once it is accepted."""

    async def receive_text(self) -> str:
        """Wait for the next text."""

    async def send_text(self, data: str) -> None:
        """Send a text."""

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close it."""


@runtime_checkable
class WebSocketConnection(Protocol):
    """What a connection of the package websockets has, on either side."""

    async def recv(self) -> str | bytes:
        """Wait for the next message."""

    async def send(self, message: str) -> None:
        """Send a message."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it."""


AcceptedWebSocket = AsgiWebSocket | WebSocketConnection


class AcceptedWire:
    """A wire over it; whatever it raises means that the connection has ended."""

    def __init__(self, websocket: AcceptedWebSocket) -> None:
        self._websocket = websocket
        self._closed: WireClosed | None = None
        self._receiving = False
        self._sending: set[asyncio.Timeout] = set()

    @property
    def closed(self) -> WireClosed | None:
        """See Wire."""
        return self._closed

    async def send(self, text: str) -> None:
        """See Wire."""
        self._check()
        try:
            async with asyncio.timeout(None) as sending:
                self._sending.add(sending)
                if isinstance(self._websocket, AsgiWebSocket):
                    await self._websocket.send_text(text)
                else:
                    await self._websocket.send(text)
        except Exception as error:
            raise self._lost(error) from None
        finally:
            self._sending.discard(sending)

    async def receive(self) -> str:
        """See Wire."""
        if self._receiving:
            raise RuntimeError("another task is already receiving")
        self._receiving = True
        try:
            while True:
                self._check()
                if isinstance(text := await self._next(), str):
                    return text
        except WireClosed:
            raise
        except Exception as error:
            raise self._lost(error) from None
        finally:
            self._receiving = False

    async def __aiter__(self) -> AsyncIterator[str]:
        """See Wire."""
        try:
            while True:
                yield await self.receive()
        except WireClosed:
            return

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """See Wire."""
        code, reason = close_frame(code, reason)
        self._closed = self._closed or WireClosed(code, reason)
        for sending in self._sending:
            if not sending.expired():
                sending.reschedule(0.0)  # what finds no room waits no longer
        # A framework raises where the other side was faster.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self._websocket.close(code, reason)

    async def _next(self) -> str | bytes | None:
        if not isinstance(self._websocket, AsgiWebSocket):
            return await self._websocket.recv()
        try:
            return await self._websocket.receive_text()
        except KeyError:
            return None  # Starlette: a binary frame

    def _check(self) -> None:
        if self._closed:
            raise self._closed

    def _lost(self, error: Exception) -> WireClosed:
        # websockets: the close frame that came; Starlette: the error is the close.
        close = getattr(error, "rcvd", error)
        code = getattr(close, "code", None)
        reason = getattr(close, "reason", None)
        known = code if isinstance(code, int) else 1006
        self._closed = self._closed or WireClosed(known, str(reason or ""))
        return self._closed
