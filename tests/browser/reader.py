"""A model that reads something aloud, and keeps what it hears: over WebRTC or not."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Self

from offhook.errors import NotFound, WireClosed
from offhook.events import new_id, serialise
from offhook.media.leg import Leg, couple
from offhook.media.peer import Peer
from offhook.media.voice import PcmPath
from offhook.upstream.base import Answer, Opened
from offhook.wire.memory import pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from offhook.wire.base import Wire

RATE = 24000
_SAID: dict[str, Any] = {
    "response_id": "resp_1",
    "item_id": "item_1",
    "output_index": 0,
    "content_index": 0,
}


class Reader:
    """An upstream of one call at a time. Use as `async with`.

    Attributes:
        heard: What it was told, as 24 kHz PCM.
    """

    def __init__(self) -> None:
        self.heard = bytearray()
        self._saying = b""
        self._peer: Peer | None = None
        self._far: Wire | None = None
        self._stack = AsyncExitStack()
        self._called = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._group = await self._stack.enter_async_context(asyncio.TaskGroup())
        return self

    async def __aexit__(self, *error: Any) -> None:
        if self._peer:
            await self._peer.close()
        await self._stack.aclose()

    async def read(self, pcm: bytes) -> None:
        """Say something, as fast as a model does, once it is called."""
        async with asyncio.timeout(10):
            await self._called.wait()
        if self._far is None:
            self._saying = pcm
            return
        for at in range(0, len(pcm), 9600):
            delta = base64.b64encode(pcm[at : at + 9600]).decode()
            await self._tell("response.output_audio.delta", delta=delta, **_SAID)
        response = {"id": "resp_1", "status": "completed", "output": []}
        await self._tell("response.done", response=response)

    # What it is as an upstream.

    async def mint(self, session: Mapping[str, Any], seconds: int) -> dict[str, Any]:
        raise AssertionError("the relay has keys of its own")

    async def answer(self, offer: bytes, session: Mapping[str, Any]) -> Answer:
        self._peer = Peer(self, None)
        sdp = await self._peer.answer(offer.decode())
        self._group.create_task(self._hold(self._peer))
        return Answer("rtc_reader", sdp.encode())

    async def _hold(self, peer: Peer) -> None:
        await peer.connected()
        async with (
            Leg.of(peer.connection) as leg,
            Leg(PcmPath(self._pull, self._hear)) as voice,
        ):
            couple(leg, voice)
            self._called.set()
            await peer.run()

    @asynccontextmanager
    async def connect(self, session: Mapping[str, Any]) -> AsyncIterator[Opened]:
        near, self._far = pair()
        listening = self._group.create_task(self._listen(self._far))
        self._called.set()
        try:
            yield Opened(near, {"id": "sess_1", **session})
        finally:
            await near.close()
            await listening

    def attach(self, call_id: str) -> NoReturn:
        raise NotFound("there are no sidebands here")

    async def hang_up(self, call_id: str) -> None:
        assert self._peer
        await self._peer.close()

    async def aclose(self) -> None:
        pass

    # What it hears of its peer.

    def opened(self) -> None:
        assert self._peer
        session = {"type": "realtime", "id": "sess_1", "model": "reader"}
        created = {"type": "session.created", "event_id": "event_1"}
        self._peer.send(serialise({**created, "session": session}))

    def message(self, text: str | bytes) -> None:
        event = json.loads(text)
        if event["type"] == "session.update" and self._peer:
            updated = {"type": "session.updated", "event_id": new_id("event")}
            self._peer.send(serialise({**updated, "session": event["session"]}))

    def audio(self, pcm: bytes) -> None:
        pass

    def _hear(self, pcm: bytes) -> None:
        self.heard += pcm

    def _pull(self, ms: int) -> bytes:
        size = 2 * RATE * ms // 1000
        pcm, self._saying = self._saying[:size], self._saying[size:]
        return pcm

    async def _listen(self, wire: Wire) -> None:
        try:
            while True:
                event = json.loads(await wire.receive())
                if event["type"] == "input_audio_buffer.append":
                    self._hear(base64.b64decode(event["audio"]))
                elif event["type"] == "session.update":
                    await self._tell("session.updated", session=event["session"])
        except WireClosed:
            self._far = None

    async def _tell(self, type: str, **fields: Any) -> None:
        assert self._far
        event = {"type": type, "event_id": new_id("event"), **fields}
        await self._far.send(serialise(event))
