"""Calls between stock aiortc and our peer, and strangers who disturb them."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiortc import RTCSessionDescription
from anyio.lowlevel import checkpoint
from OpenSSL import SSL

from offhook.media.peer import Peer
from tests.caller import Caller, offer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Address = tuple[str, int]

BINDING_REQUEST = struct.pack("!HHI12s", 1, 0, 0x2112A442, b"stranger....")


class Ear:
    """Notes what a peer reports."""

    def __init__(self) -> None:
        self.openings = 0
        self.messages: list[str | bytes] = []
        self.pcm = b""
        self._news = asyncio.Event()

    def opened(self) -> None:
        self.openings += 1
        self._news.set()

    def message(self, text: str | bytes) -> None:
        self.messages.append(text)
        self._news.set()

    def audio(self, pcm: bytes) -> None:
        self.pcm += pcm
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop work until something is so."""
    async with asyncio.timeout(10):
        while not condition():
            await checkpoint()


def nothing(ms: int) -> bytes:
    return b""


class Call:
    """One call in the making: each step is a method.

    Args:
        server: Let the peer be the DTLS server; by default it is the client.
        options: Of the peer.
    """

    def __init__(self, server: bool = False, **options: Any) -> None:
        self.caller = Caller()
        self.ear = Ear()
        self.peer = Peer(self.ear, nothing, **options)
        self.opened = asyncio.Event()
        self.caller.channel.on("open", self.opened.set)
        self.answer = ""
        self._server = server

    async def __aenter__(self) -> Call:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.peer.close()
        await self.caller.close()

    async def answered(self) -> str:
        """Offer, and let the peer answer."""
        given = await offer(self.caller)
        if self._server:
            given = given.replace("a=setup:actpass", "a=setup:active")
        answer = await self.peer.answer(given)
        self.answer = answer
        assert f"a=setup:{'passive' if self._server else 'active'}" in answer
        return answer

    async def accept(self, answer: str) -> None:
        """Let the caller have the answer: the checks begin."""
        description = RTCSessionDescription(answer, "answer")
        await self.caller.peer.setRemoteDescription(description)

    async def open(self) -> None:
        """Wait until events can flow."""
        async with asyncio.timeout(10):
            await self.opened.wait()
        await self.ear.until(lambda: self.ear.openings)

    async def echo(self, times: int = 10) -> None:
        """Send events there and back again."""
        for _ in range(times):
            await self._echo(len(self.ear.messages))

    async def _echo(self, count: int) -> None:
        self.caller.send("ping")
        await self.ear.until(lambda: len(self.ear.messages) > count)
        self.peer.send(json.dumps({"type": "pong"}))
        await self.caller.until("pong")


@asynccontextmanager
async def called(**options: Any) -> AsyncIterator[Call]:
    """A call that is connected."""
    async with Call(**options) as call:
        await call.accept(await call.answered())
        await call.open()
        yield call


def address_of(answer: str) -> Address:
    """The first IPv4 address in an answer."""
    found = re.search(r"a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+) typ host", answer)
    assert found
    return found[1], int(found[2])


class Stranger:
    """Somebody else's socket, aimed at a peer."""

    def __init__(self, target: Address) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((target[0], 0))
        self._socket.connect(target)

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.send(data)

    async def receive(self) -> bytes:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            return await loop.sock_recv(self._socket, 2048)

    async def sent(self, data: bytes) -> None:
        """Send, and wait until the peer has looked at it.

        What comes next is answered: datagrams keep their order on one machine.
        """
        self.send(data)
        self.send(BINDING_REQUEST)
        await self.receive()


def client_hello() -> bytes:
    """The first datagram of a DTLS handshake."""
    connection = SSL.Connection(SSL.Context(SSL.DTLS_METHOD))
    connection.set_connect_state()
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return connection.bio_read(1500)
    raise AssertionError
