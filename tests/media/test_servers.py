from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aioice import stun
from anyio.lowlevel import checkpoint

from offhook.media.network import IceServer, Network
from offhook.media.servers import IceServers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


class StunServer(asyncio.DatagramProtocol):
    """Tells who asks its address, while it is up."""

    def __init__(self) -> None:
        self.up = True
        self.questions = 0
        self.asked = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.questions += 1
        self.asked.set()
        if not self.up:
            return
        request = stun.parse_message(data)
        response = stun.Message(
            stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id
        )
        response.attributes["XOR-MAPPED-ADDRESS"] = ("198.51.100.7", addr[1])
        self.transport.sendto(bytes(response), addr)


@asynccontextmanager
async def stun_server(up: bool = True) -> AsyncIterator[tuple[StunServer, IceServer]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        StunServer, local_addr=("127.0.0.1", 0)
    )
    server.up = up
    port = transport.get_extra_info("sockname")[1]
    try:
        yield server, IceServer("stun", "127.0.0.1", port)
    finally:
        transport.close()


async def test_a_server_that_answers_is_used() -> None:
    async with (
        stun_server() as (_, named),
        stun_server() as (_, other),
        IceServers(Network((named, other))) as servers,
    ):
        assert await servers.usable() == [named]


async def test_one_that_does_not_is_passed_over(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offhook.media.servers.ANSWER_SECONDS", 0.3)
    async with (
        stun_server(up=False) as (_, dead),
        stun_server() as (_, alive),
        IceServers(Network((dead, alive))) as servers,
    ):
        assert await servers.usable() == [alive]
    assert [m for m in caplog.messages if str(dead) in m] == [
        f"{dead} does not answer (TimeoutError): calls do without"
    ]


async def test_one_that_refuses_is_passed_over() -> None:
    # Nobody listens there: UDP is refused by the machine itself.
    gone = IceServer("stun", "127.0.0.1", 1)
    relay = IceServer("turn", "127.0.0.1", 1, "tcp", login=("a", "b"))
    network = Network((gone, relay), candidates="lan")
    async with IceServers(network) as servers:
        assert await servers.usable() == []


async def test_a_failure_in_a_call_is_doubt_until_it_answers_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "offhook"):
        async with (
            stun_server() as (server, named),
            IceServers(Network((named,))) as servers,
        ):
            assert await servers.usable() == [named]
            server.asked.clear()
            servers.doubt(named)
            assert await servers.usable() == []
            # It is tried again at once, not in half a minute.
            async with asyncio.timeout(5):
                await server.asked.wait()
                while await servers.usable() != [named]:
                    await checkpoint()
    assert [m.partition(str(named))[2] for m in caplog.messages] == [
        " answers",
        " does not answer (it failed a call): calls do without",
        " answers",
    ]


async def test_servers_are_tried_now_and_then() -> None:
    async with (
        stun_server() as (server, named),
        IceServers(Network((named,)), interval=0.01) as servers,
    ):
        assert await servers.usable() == [named]
        async with asyncio.timeout(5):
            while server.questions < 5:
                server.asked.clear()
                await server.asked.wait()


async def test_where_nobody_tries_them_all_count() -> None:
    named = IceServer("stun", "127.0.0.1", 1)
    servers = IceServers(Network((named,)))
    assert await servers.usable() == [named]
    servers.doubt(named)
    assert await servers.usable() == []
