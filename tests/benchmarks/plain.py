"""What one would write: a proxy of Starlette and websockets, for the benchmark.

    python -m tests.benchmarks.plain ws://127.0.0.1:1234/v1/realtime

It runs under the same server, with the same settings, as the relay does.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import connect

if TYPE_CHECKING:
    from starlette.websockets import WebSocket


async def proxy(websocket: WebSocket) -> None:
    await websocket.accept()
    async with connect(sys.argv[1], compression=None) as upstream:

        async def forward() -> None:
            async for text in websocket.iter_text():
                await upstream.send(text)
            await upstream.close()

        async def back() -> None:
            async for text in upstream:
                await websocket.send_text(str(text))

        await asyncio.gather(forward(), back())


def main() -> None:
    app = Starlette(routes=[WebSocketRoute("/v1/realtime", proxy)])
    config = uvicorn.Config(
        app, ws="websockets-sansio", ws_per_message_deflate=False, log_level="critical"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        asyncio.run(uvicorn.Server(config).serve([listener]))


if __name__ == "__main__":
    main()
