"""A telephone behind Twilio: its end of a Media Stream, in the time of the test."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from offhook.audio import resample, ulaw_decode, ulaw_encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from websockets.asyncio.client import ClientConnection
    from websockets.asyncio.server import ServerConnection

Frame = dict[str, Any]

_FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


def to_ulaw(pcm: bytes) -> bytes:
    """What a telephone makes of 24 kHz PCM."""
    return ulaw_encode(resample(pcm, 24000, 8000))


class Phone:
    """Sends what Twilio sends, in its order and with its numbers, and plays the rest.

    Nothing is played before a test says so: `play` is the clock.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Frame] = []
        self.heard = bytearray()
        self.cleared: list[str] = []
        self._queue: deque[Frame] = deque()
        self._sequence = 0
        self._chunk = 0
        self._at_ms = 0
        self._arrived = asyncio.Condition()
        self._seen = 0

    async def send(self, event: str, **fields: Any) -> None:
        """Send a frame."""
        self._sequence += 1
        numbered = {"sequenceNumber": str(self._sequence), "streamSid": "MZ1"}
        await self.socket.send(json.dumps({"event": event, **numbered, **fields}))

    async def start(
        self, parameters: Mapping[str, str] | None = None, call_sid: str = "CA1"
    ) -> None:
        """Begin the stream, as Twilio does."""
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        await self.socket.send(json.dumps(connected))
        start = {
            "accountSid": "AC1",
            "streamSid": "MZ1",
            "callSid": call_sid,
            "tracks": ["inbound"],
            "mediaFormat": _FORMAT,
            "customParameters": dict(parameters or {}),
        }
        await self.send("start", start=start)

    async def say(self, ulaw: bytes) -> None:
        """Speak: one frame for each 20 ms, all at once."""
        for at in range(0, len(ulaw), 160):
            self._chunk += 1
            payload = base64.b64encode(ulaw[at : at + 160]).decode()
            media = {
                "track": "inbound",
                "chunk": str(self._chunk),
                "timestamp": str(self._at_ms),
                "payload": payload,
            }
            self._at_ms += 20
            await self.send("media", media=media)

    async def wait(self, ms: int) -> None:
        """Say nothing, so that Twilio sends nothing."""
        self._at_ms += ms

    async def press(self, digit: str) -> None:
        """Press a key."""
        await self.send("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    async def hang_up(self) -> None:
        """End the call."""
        await self.send("stop", stop={"accountSid": "AC1", "callSid": "CA1"})
        await self.socket.close()

    async def play(self, ms: float = 1e9) -> float:
        """Let this much time pass, and return how much audio there was for it.

        Marks go back when the audio before them is over.
        """
        left = ms * 8
        while self._queue and (left > 0 or self._queue[0]["event"] == "mark"):
            frame = self._queue.popleft()
            if frame["event"] == "mark":
                await self.send("mark", mark=frame["mark"])
                continue
            audio = base64.b64decode(frame["media"]["payload"])
            if len(audio) > left:
                rest = base64.b64encode(audio[int(left) :]).decode()
                self._queue.appendleft({"event": "media", "media": {"payload": rest}})
                audio = audio[: int(left)]
            self.heard += audio
            left -= len(audio)
        return ms - left / 8

    def pcm(self) -> bytes:
        """What was heard, as 24 kHz PCM."""
        return resample(ulaw_decode(bytes(self.heard)), 8000, 24000)

    async def until(self, event: str) -> Frame:
        """Wait for the next frame of a kind; earlier ones are passed over."""
        async with asyncio.timeout(20), self._arrived:
            while True:
                while self._seen < len(self.frames):
                    self._seen += 1
                    if self.frames[self._seen - 1]["event"] == event:
                        return self.frames[self._seen - 1]
                await self._arrived.wait()

    async def listen(self) -> None:
        """Take what comes, until the other side hangs up."""
        try:
            async for text in self.socket:
                await self._take(json.loads(text))
        except ConnectionClosed:
            pass

    async def _take(self, frame: Frame) -> None:
        assert frame["streamSid"] == "MZ1"
        if frame["event"] == "clear":
            marks = [f["mark"] for f in self._queue if f["event"] == "mark"]
            self.cleared += [mark["name"] for mark in marks]
            self._queue.clear()
            for mark in marks:
                await self.send("mark", mark=mark)
        else:
            self._queue.append(frame)
        self.frames.append(frame)
        async with self._arrived:
            self._arrived.notify_all()


@asynccontextmanager
async def listening(url: str, **options: Any) -> AsyncIterator[Phone]:
    """Connect as Twilio does, and listen until the end."""
    async with connect(url, compression=None, **options) as socket:
        phone = Phone(socket)
        ear = asyncio.create_task(phone.listen())
        try:
            yield phone
        finally:
            await socket.close()
            await ear


@asynccontextmanager
async def line() -> AsyncIterator[tuple[ServerConnection, Phone]]:
    """A WebSocket that Twilio has opened: the server's end, and the telephone."""
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[ServerConnection] = loop.create_future()
    over = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        accepted.set_result(connection)
        await over.wait()

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with listening(f"ws://127.0.0.1:{port}/") as phone:
            try:
                yield await accepted, phone
            finally:
                over.set()


class Handset:
    """Twilio's end in memory: the stream has started, and nobody says anything."""

    def __init__(self) -> None:
        start = {"streamSid": "MZ1", "callSid": "CA1"}
        self.frames = [json.dumps({"event": "start", "start": start})]
        self.closed = asyncio.Event()

    async def receive_text(self) -> str:
        if not self.frames:
            await self.closed.wait()
            raise EOFError
        return self.frames.pop()

    async def send_text(self, data: str) -> None:
        assert json.loads(data)["streamSid"] == "MZ1"

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        self.closed.set()
