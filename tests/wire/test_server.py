from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from offhook.wire.frames import EXTENSION
from offhook.wire.server import DirectWebSocket, websocket_protocol
from tests.relays import serving

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

pytestmark = pytest.mark.anyio

TEXTS = [f"{'long' if n % 7 == 3 else 'short'} {n}" for n in range(200)]


class Order:
    """An application that notes in which order texts come, whichever way."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.short = 0
        self.whole = asyncio.Event()
        self.direct: DirectWebSocket | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.direct = scope["extensions"][EXTENSION]
        self.direct.divert(self.take)
        while (message := await receive())["type"] == "websocket.receive":
            self.note(message["text"])
            # A moment in which more may come, which has to queue behind.
            await asyncio.sleep(0)

    def take(self, text: str) -> bool:
        if text.startswith("long"):
            return False
        self.short += 1
        self.note(text)
        return True

    def note(self, text: str) -> None:
        self.seen.append(text)
        if len(self.seen) == len(TEXTS):
            self.whole.set()


@pytest.mark.parametrize("together", [True, False])
async def test_the_order_is_kept_over_both_ways(together: bool) -> None:
    app = Order()
    async with asyncio.timeout(10), serving(app, lifespan=False) as url:
        async with connect(url.replace("http", "ws")) as client:
            for number, text in enumerate(TEXTS):
                client.protocol.send_text(text.encode())
                if not together or number == len(TEXTS) - 1:
                    client.send_data()
                if not together and number % 10 == 0:
                    await (await client.ping())
            await app.whole.wait()
    assert app.seen == TEXTS
    assert app.short > 0


async def test_what_is_offered_is_sent_while_there_is_room() -> None:
    app = Order()
    async with asyncio.timeout(10), serving(app, lifespan=False) as url:
        async with connect(url.replace("http", "ws"), max_queue=1) as client:
            await client.send("hello")
            while app.direct is None:
                await (await client.ping())
            text = "x" * 50_000
            sent = 0
            while app.direct.offer(text):
                sent += 1
            assert 0 < sent < 200
            for _ in range(sent):
                assert await client.recv() == text


def test_this_uvicorn_is_one_that_we_know() -> None:
    assert websocket_protocol() is DirectWebSocket


async def test_no_handshake_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "uvicorn.error")
    headers: Any = {"Authorization": "Bearer ek_canary"}
    async with serving(Order(), lifespan=False) as url:
        async with connect(url.replace("http", "ws"), additional_headers=headers) as it:
            await it.send("canary")
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("uvicorn")]
    assert lines
    assert "canary" not in str(lines)


@pytest.mark.parametrize("length", [9_000, 40_000])
async def test_a_handshake_that_cannot_be_read_is_answered(length: int) -> None:
    headers: Any = {"Authorization": "Bearer ek_" + "a" * length}
    async with asyncio.timeout(10), serving(Order(), lifespan=False) as url:
        with pytest.raises(InvalidStatus) as refused:
            await connect(url.replace("http", "ws"), additional_headers=headers)
    response = refused.value.response
    assert response.status_code == 431
    assert json.loads(response.body)["error"]["code"] == "invalid_headers"


async def test_who_sends_too_long_a_message_in_pieces_hears_why() -> None:
    app = Order()
    async with asyncio.timeout(10), serving(app, lifespan=False) as url:
        async with connect(url.replace("http", "ws")) as client:
            await client.send("hello")
            piece = "x" * 65_536
            # It hears nothing until it has said all: more than uvicorn takes.
            client.transport.pause_reading()
            with pytest.raises(ConnectionClosed) as closed:
                await client.send(piece for _ in range(500))
                client.transport.resume_reading()
                await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


async def test_a_client_that_has_left_is_missed_before_its_end_is_read() -> None:
    app = Order()
    async with asyncio.timeout(10), serving(app, lifespan=False) as url:
        client = await connect(url.replace("http", "ws"))
        while app.direct is None:
            await (await client.ping())
        direct = app.direct
        direct.transport.pause_reading()
        await client.send("unread")
        assert not direct.has_left()
        client.transport.close()
        async with connect(url.replace("http", "ws")) as other:
            while not direct.has_left():
                await (await other.ping())
        assert not direct.transport.is_closing()
        direct.transport.abort()
