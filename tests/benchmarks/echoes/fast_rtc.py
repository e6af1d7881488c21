"""FastRTC's echo: a stream handler that gives back each frame."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI  # type: ignore[import-not-found,unused-ignore]  # likewise
from fastrtc import (  # type: ignore[import-not-found]  # its own environment
    AsyncStreamHandler,
    Stream,
)


class Echo(AsyncStreamHandler):  # type: ignore[misc]  # of no known type
    def __init__(self) -> None:
        super().__init__(output_sample_rate=24000, input_sample_rate=24000)
        self.frames: asyncio.Queue[Any] = asyncio.Queue()

    def copy(self) -> Echo:
        return Echo()

    async def start_up(self) -> None:
        pass

    async def receive(self, frame: Any) -> None:
        self.frames.put_nowait(frame)

    async def emit(self) -> Any:
        return await self.frames.get()


async def main() -> None:
    stream = Stream(
        Echo(),
        modality="audio",
        mode="send-receive",
        concurrency_limit=100,
        server_rtc_configuration={"iceServers": []},
    )
    app = FastAPI()
    stream.mount(app)
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    await server.serve(sockets=[listener])


asyncio.run(main())
