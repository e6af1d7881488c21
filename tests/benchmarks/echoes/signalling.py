"""The smallest way to answer offers, which every echo has: in any environment."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

Answer = Callable[[str], Awaitable[str]]


def serve(
    answer: Answer, run: Callable[[Coroutine[Any, Any, None]], Any] = asyncio.run
) -> None:
    """Take a POST with an SDP offer, give the answer; print the port first."""
    run(_serve(answer))


async def _serve(answer: Answer) -> None:
    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split()[0])
        sdp = await answer(json.loads(await reader.readexactly(length))["sdp"])
        body = json.dumps({"sdp": sdp, "type": "answer"}).encode()
        writer.write(
            b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()
