"""A `fetch` that upgrades, as a Cloudflare Worker's does, over real connections."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from websockets.asyncio.client import ClientConnection


class JavaScriptSocket:
    """A WebSocket with JavaScript's manners: nothing waits, and events call back."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._out: asyncio.Queue[str | tuple[int, str]] = asyncio.Queue()
        self._listeners: dict[str, list[Callable[[Any], None]]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.closing = False

    def accept(self) -> None:
        for work in (self._read(), self._write()):
            self._tasks.append(asyncio.create_task(work))

    def addEventListener(self, name: str, callback: Callable[[Any], None]) -> None:
        self._listeners.setdefault(name, []).append(callback)

    def removeEventListener(self, name: str, callback: Callable[[Any], None]) -> None:
        self._listeners[name].remove(callback)

    def send(self, text: str) -> None:
        if self.closing:
            raise RuntimeError("InvalidStateError")
        self._out.put_nowait(text)

    def close(self, code: int, reason: str) -> None:
        if code in (1004, 1005, 1006, 1015):
            raise RuntimeError("InvalidAccessError")
        if not self.closing:
            self.closing = True
            self._out.put_nowait((code, reason))

    def dispatch(self, name: str, **fields: Any) -> None:
        for callback in tuple(self._listeners.get(name, ())):
            callback(SimpleNamespace(**fields))

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()

    async def _read(self) -> None:
        try:
            while True:
                self.dispatch("message", data=await self._connection.recv())
        except ConnectionClosed as error:
            close = error.rcvd
            code, reason = (close.code, close.reason) if close else (1006, "")
            self.dispatch("close", code=code, reason=reason)

    async def _write(self) -> None:
        while True:
            match await self._out.get():
                case str() as text:
                    await self._connection.send(text)
                case (code, reason):
                    await self._connection.close(code, reason)


class Upgrades:
    """Its `fetch` is what a transport gets; it remembers what was asked for."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.sockets: list[JavaScriptSocket] = []

    async def fetch(self, url: str, options: dict[str, Any]) -> Any:
        self.requests.append((url, options))
        headers = dict(options["headers"])
        assert headers.pop("Upgrade") == "websocket"
        protocol = headers.pop("Sec-WebSocket-Protocol", None)
        try:
            connection = await connect(
                url.replace("http", "ws", 1),
                subprotocols=[Subprotocol(protocol)] if protocol else None,
                additional_headers=headers,
                user_agent_header=None,
                compression=None,
                proxy=None,
            )
        except InvalidStatus as error:
            return _refusal(error)
        self.sockets.append(JavaScriptSocket(connection))
        return SimpleNamespace(status=101, webSocket=self.sockets[-1])


def _refusal(error: InvalidStatus) -> Any:
    response = error.response

    async def text() -> str:
        return bytes(response.body or b"").decode()

    return SimpleNamespace(
        status=response.status_code,
        webSocket=None,
        headers=response.headers,
        text=text,
    )


@asynccontextmanager
async def upgrading() -> AsyncIterator[Upgrades]:
    upgrades = Upgrades()
    try:
        yield upgrades
    finally:
        for socket in upgrades.sockets:
            await socket.aclose()
