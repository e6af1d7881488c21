from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from offhook.errors import WireClosed
from offhook.wire.accepted import AcceptedWire
from offhook.wire.websocket import connect_websocket
from tests.relays import serving
from tests.wire.conformance import Conformance, until_closed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.websockets import WebSocket
    from websockets.asyncio.server import ServerConnection

    from offhook.wire.accepted import AcceptedWebSocket
    from tests.wire.conformance import Pair

pytestmark = pytest.mark.anyio


class Meeting:
    """Where a server's handler brings its socket, and waits until it is not needed."""

    def __init__(self, connect: Callable[[str], Any]) -> None:
        self.connect = connect
        self.socket: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()

    async def bring(self, socket: AcceptedWebSocket) -> None:
        self.socket.set_result(socket)
        await self.over.wait()

    @asynccontextmanager
    async def at(self, url: str) -> AsyncIterator[tuple[AcceptedWire, Any]]:
        """Connect, and give both ends."""
        try:
            async with self.connect(url) as far:
                yield AcceptedWire(await self.socket), far
        finally:
            self.over.set()


@asynccontextmanager
async def over_websockets(
    connecting: Callable[[str], Any] = connect_websocket,
) -> AsyncIterator[tuple[AcceptedWire, Any]]:
    meeting = Meeting(connecting)

    async def handler(connection: ServerConnection) -> None:
        await meeting.bring(connection)

    async with (
        serve(handler, "127.0.0.1", 0, max_queue=16, compression=None) as server,
        meeting.at(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/") as ends,
    ):
        yield ends


@asynccontextmanager
async def over_starlette(
    connecting: Callable[[str], Any] = connect_websocket,
) -> AsyncIterator[tuple[AcceptedWire, Any]]:
    meeting = Meeting(connecting)

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await meeting.bring(websocket)

    app = Starlette(routes=[WebSocketRoute("/", endpoint)])
    async with (
        serving(app, direct=False) as url,
        meeting.at(url.replace("http", "ws")) as ends,
    ):
        yield ends


class TestWebsockets(Conformance):
    @pytest.fixture
    async def wires(self) -> AsyncIterator[Pair]:
        async with over_websockets() as ends:
            yield ends


class TestStarlette(Conformance):
    @pytest.fixture
    async def wires(self) -> AsyncIterator[Pair]:
        async with over_starlette() as ends:
            yield ends


@pytest.mark.parametrize("over", [over_websockets, over_starlette])
async def test_binary_frames_and_a_lost_connection(over: Callable[..., Any]) -> None:
    async with over(connect) as (wire, far):
        await far.send(b"binary")
        await far.send("text")
        assert await wire.receive() == "text"
        receiving = asyncio.create_task(until_closed(wire))
        far.transport.abort()
        # uvicorn does not tell an abort from a close without a code.
        assert (await receiving).close_code in (1005, 1006)
        with pytest.raises(WireClosed):
            await wire.send("late")
