"""A path over which some of the packets are lost, between a browser and a server."""

from __future__ import annotations

import asyncio
import random
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    Address = tuple[str, int]

_CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+) typ host.*$", re.M)
_ANY = re.compile(r"^a=(?:candidate:.*|end-of-candidates)\r?\n", re.M)


class Lossy(asyncio.DatagramProtocol):
    """Passes datagrams between one browser and one server.

    Attributes:
        up: Of the media packets to the server, the share that is lost, from 0 to 1.
        down: Of those to the browser.
        lost: How many were.
        passed: How many were not.
    """

    def __init__(self, seed: int = 1) -> None:
        self.up = self.down = 0.0
        self.lost = self.passed = 0
        self._chance = random.Random(seed)
        self._server: Address | None = None
        self._browser: Address | None = None
        self._transport: Any = None

    def between(self, answer: str) -> str:
        """Let a browser that gets this answer reach the server by this path."""
        found = _CANDIDATE.search(answer)
        assert found, answer
        self._server = found[1], int(found[2])
        host, port = self._transport.get_extra_info("sockname")[:2]
        ours = f"a=candidate:1 1 udp 2130706431 {host} {port} typ host\r\n"
        head, mid, rest = answer.partition("\r\nm=")
        line, end, attributes = _ANY.sub("", rest).partition("\r\n")
        return head + mid + line + end + _after_c(attributes, ours)

    def connection_made(self, transport: object) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Address) -> None:
        if address == self._server:
            to, share = self._browser, self.down
        else:
            self._browser = address
            to, share = self._server, self.up
        media = 127 < data[0] < 192 and not 191 < data[1] < 224
        if media and self._chance.random() < share:
            self.lost += 1
        elif to:
            self.passed += media
            self._transport.sendto(data, to)


def _after_c(attributes: str, line: str) -> str:
    """Put a line where candidates may stand: after the connection's."""
    first, end, rest = attributes.partition("\r\n")
    return first + end + line + rest


@asynccontextmanager
async def lossy() -> AsyncIterator[Lossy]:
    """A path that loses nothing until it is told to."""
    loop = asyncio.get_running_loop()
    transport, path = await loop.create_datagram_endpoint(
        Lossy, local_addr=("127.0.0.1", 0)
    )
    try:
        yield path
    finally:
        transport.close()
