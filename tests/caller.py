"""A caller without a browser: stock aiortc, a microphone of PCM, and open ears."""

from __future__ import annotations

import asyncio
import fractions
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from offhook.audio import resample
from tests.official_order import disorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Event = dict[str, Any]


class Microphone(MediaStreamTrack):
    """Sends what it was given in real time, and silence otherwise."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.pcm = b""
        self._pts = 0
        self._due: float | None = None

    def say(self, pcm: bytes) -> None:
        """Play 24 kHz PCM next."""
        self.pcm = resample(pcm, 24000, 48000)

    async def recv(self) -> AudioFrame:
        now = asyncio.get_running_loop().time()
        self._due = self._due or now
        await asyncio.sleep(self._due - now)
        self._due += 0.02
        chunk, self.pcm = self.pcm[:1920].ljust(1920, b"\0"), self.pcm[1920:]
        samples = np.frombuffer(chunk, "<i2").reshape(1, -1)
        frame = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 48000
        frame.pts = self._pts
        frame.time_base = fractions.Fraction(1, 48000)
        self._pts += 960
        return frame


class Caller:
    """One call, seen from the near end."""

    def __init__(
        self, configuration: RTCConfiguration | None = None, *, channel: bool = True
    ) -> None:
        self.peer = RTCPeerConnection(configuration or RTCConfiguration([]))
        self.microphone = Microphone()
        self.peer.addTrack(self.microphone)
        if channel:
            self.channel = self.peer.createDataChannel("oai-events")
            self.channel.on("message", self._on_message)
        self.events: list[Event] = []
        self.heard = bytearray()
        self.call_id = ""
        self._arrived = asyncio.Condition()
        self._heard = asyncio.Event()
        self._seen = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.peer.on("track", self._on_track)

    def send(self, kind: str, **fields: Any) -> None:
        """Send a client event."""
        self.channel.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str) -> Event:
        """Wait for the next event of a type; earlier ones are passed over."""
        async with asyncio.timeout(20):
            while True:
                while self._seen < len(self.events):
                    self._seen += 1
                    if self.events[self._seen - 1]["type"] == kind:
                        return self.events[self._seen - 1]
                async with self._arrived:
                    await self._arrived.wait()

    async def heard_more(self) -> None:
        """Wait until there is more to hear."""
        self._heard.clear()
        await self._heard.wait()

    async def closed(self) -> None:
        """Wait until the other side has hung up."""
        gone = asyncio.Event()
        self.peer.on("connectionstatechange", gone.set)
        async with asyncio.timeout(20):
            while self.peer.connectionState not in ("closed", "failed"):
                gone.clear()
                await gone.wait()

    def _on_message(self, text: str) -> None:
        self.events.append(json.loads(text))
        self._tasks.append(asyncio.ensure_future(self._tell()))

    async def _tell(self) -> None:
        async with self._arrived:
            self._arrived.notify_all()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.ensure_future(self._listen(track)))

    async def _listen(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                left = frame.to_ndarray().reshape(-1, 2)[:, 0]
                self.heard += left.astype("<i2").tobytes()
                self._heard.set()
        except MediaStreamError:
            return

    async def close(self) -> None:
        """Hang up by leaving."""
        await self.peer.close()
        await asyncio.gather(*self._tasks)


async def offer(caller: Caller) -> str:
    """Return the caller's offer, its candidates included."""
    await caller.peer.setLocalDescription(await caller.peer.createOffer())
    return str(caller.peer.localDescription.sdp)


@asynccontextmanager
async def calling(
    url: str,
    session: dict[str, Any] | None = None,
    key: str = "sk-any",
    headers: dict[str, str] | None = None,
    greeting: str = "session.created",
    whole: bool = True,
) -> AsyncIterator[Caller]:
    """Call an endpoint, and be connected when the greeting comes.

    Args:
        url: Its base URL.
        session: What to ask for.
        key: What to show.
        headers: What else to send; with them, anything may happen.
        greeting: The event to wait for.
        whole: Whether all events are to be seen, in an order that makes sense.
    """
    caller = Caller()
    form = {"sdp": (None, await offer(caller), "application/sdp")}
    if session is not None:
        form["session"] = (None, json.dumps(session), "application/json")
    async with httpx.AsyncClient(timeout=20) as client:
        response = await client.post(
            f"{url}/realtime/calls",
            files=form,
            headers={"Authorization": f"Bearer {key}", **(headers or {})},
        )
    assert response.status_code == 201, response.text
    caller.call_id = response.headers["location"].rsplit("/", 1)[-1]
    answer = RTCSessionDescription(response.text, "answer")
    try:
        await caller.peer.setRemoteDescription(answer)
        await caller.until(greeting)
        yield caller
        assert headers or not whole or disorder(caller.events) == []
    finally:
        await caller.close()
