"""A server of WebRTC calls on stock aiortc, which does what a script says."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Self

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceTransport,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tests.caller import Microphone
from tests.relays import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from starlette.requests import Request

SDP = "application/sdp"
_CONNECTION = "_connection"  # aioice's, inside aiortc's
_PROTOCOLS = "_protocols"  # one for each socket


class _Lossy:
    """A socket's transport, from which nothing leaves."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def sendto(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Answerer:
    """One call, seen from the server; its methods are those of websockets."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration([]))
        self.voice = Microphone()
        self._sound: asyncio.Future[AudioFrame] = asyncio.Future()
        self._listening: asyncio.Task[None] | None = None
        self.opened: asyncio.Future[RTCDataChannel] = asyncio.Future()
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._closed = asyncio.Event()
        self.peer.on("track", self._on_track)
        self.peer.on("datachannel", self._on_channel)

    async def answer(self, offer: str) -> str:
        if "m=audio" in offer:
            self.peer.addTrack(self.voice)
        await self.peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        return str(self.peer.localDescription.sdp)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.peer.close()
        if self._listening:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    async def send(self, text: str) -> None:
        (await self.opened).send(text)

    async def recv(self) -> str:
        text = await self._texts.get()
        assert text is not None
        return text

    async def __aiter__(self) -> AsyncIterator[str]:
        while (text := await self._texts.get()) is not None:
            yield text

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Hang up; there is no code and no reason in WebRTC."""
        await self.peer.close()

    async def wait_closed(self) -> None:
        await self._closed.wait()

    async def vanish(self) -> None:
        """Be gone without a goodbye, as a machine without power."""
        await self._ice().stop()

    @contextmanager
    def mute(self) -> Iterator[None]:
        """Send nothing at all, as behind a network that loses everything."""
        protocols = getattr(getattr(self._ice(), _CONNECTION), _PROTOCOLS)
        transports = [protocol.transport for protocol in protocols]
        for protocol in protocols:
            protocol.transport = _Lossy(protocol.transport)
        yield
        for protocol, transport in zip(protocols, transports, strict=True):
            protocol.transport = transport

    async def heard(self) -> AudioFrame:
        """Return a frame that was received."""
        return await self._sound

    def _ice(self) -> RTCIceTransport:
        assert self.peer.sctp
        return self.peer.sctp.transport.transport

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._listening = asyncio.create_task(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, AudioFrame) and not self._sound.done():
                    self._sound.set_result(frame)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        channel.on("message", self._texts.put_nowait)
        channel.on("close", self._on_close)
        self.opened.set_result(channel)

    def _on_close(self) -> None:
        self._closed.set()
        self._texts.put_nowait(None)


@asynccontextmanager
async def answering(
    script: Callable[[Answerer], Awaitable[None]],
    rewritten: Callable[[str], str] = str,
) -> AsyncIterator[str]:
    """Run a server that does what the script says with each call.

    Its answers go out as they are rewritten.
    """
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())

        async def run(call: Answerer) -> None:
            await call.opened
            await script(call)

        async def calls(request: Request) -> Response:
            call = await stack.enter_async_context(Answerer())
            tasks.append(group.create_task(run(call)))
            answer = rewritten(await call.answer((await request.body()).decode()))
            location = {"Location": f"/v1/realtime/calls/rtc_{len(tasks)}"}
            return Response(answer, 201, headers=location, media_type=SDP)

        tasks: list[asyncio.Task[None]] = []
        app = Starlette(routes=[Route("/calls", calls, methods=["POST"])])
        try:
            async with serving(app) as url:
                yield f"{url}/calls"
        finally:
            for task in tasks:
                task.cancel()
