"""A Realtime server that does what a script says, and keeps what the client sent."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    Script = Callable[["Stage"], Awaitable[None]]

Event = dict[str, Any]

PATIENCE = 20
# Clients round, and so do clocks.
ROUNDED_MS = 2
PCM = {"type": "audio/pcm", "rate": 24000}
SESSION: Event = {
    "type": "realtime",
    "id": "sess_1",
    "audio": {"input": {"turn_detection": {"type": "semantic_vad"}}, "output": {}},
}


class Stage:
    """One connection: the script's words for what a server does."""

    def __init__(self, connection: ServerConnection) -> None:
        self.sent: list[Event] = []
        self.failure = ""
        self._connection = connection
        self._numbers = itertools.count(1)
        self._passed = 0
        self._news = asyncio.Event()
        # When the audio of an item began to go out, when a client certainly had it, and
        # when the last event went out.
        self._began: dict[str, float] = {}
        self._arrived: dict[str, float] = {}
        self._now = 0.0

    async def read(self) -> None:
        """Keep what the client sends until it leaves."""
        async for text in self._connection:
            event = json.loads(text)
            self._compare_time(event)
            self.sent.append(event)
            self._news.set()
        self._news.set()

    def _compare_time(self, event: Event) -> None:
        item_id = event.get("item_id")
        if "audio_end_ms" in event and item_id in self._arrived:
            least = (self._now - self._arrived[item_id]) * 1000 - ROUNDED_MS
            most = (time.monotonic() - self._began[item_id]) * 1000 + ROUNDED_MS
            if least <= event["audio_end_ms"] <= most:
                event["audio_end_ms"] = "as long as it played"

    async def send(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        self._now = time.monotonic()
        if kind == "response.output_audio.delta":
            self._began.setdefault(fields["item_id"], self._now)
        event = {"type": kind, "event_id": f"event_{next(self._numbers)}", **fields}
        await self._connection.send(json.dumps(event))

    async def raw(self, event: Event) -> None:
        """Send something as it is, without the id that events have."""
        await self._connection.send(json.dumps(event))

    async def do(self, what: str, *args: Any) -> None:
        """Have the client do something, as soon as it has taken all before."""
        self._now = time.monotonic()
        cue = {"type": "cue", "event_id": f"event_{next(self._numbers)}"}
        await self._connection.send(json.dumps({**cue, "do": what, "args": args}))

    async def expect(self, kind: str, **fields: Any) -> Event:
        """Wait until the client has sent such an event, after those before."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self._news.clear()
                for event in self.sent[self._passed :]:
                    self._passed += 1
                    if event["type"] == kind and fields.items() <= event.items():
                        return event
                await self._news.wait()

    async def play(self, ms: float) -> None:
        """Let audio be played: the clock of the JavaScript SDK is the real one."""
        await self.do("event", {"type": "here"})
        await self.expect("here")
        for item_id in self._began:
            self._arrived.setdefault(item_id, time.monotonic())
        await asyncio.sleep(ms / 1000)

    async def leave(self, code: int = 1000) -> None:
        """Close the connection."""
        await self._connection.close(code, "the script says so")

    async def open(self, *, updates: int = 2, **session: Any) -> None:
        """Begin a session; what a client asks for is acknowledged with another."""
        await self.send("session.created", session={**SESSION, **session})
        for _ in range(updates):
            await self.expect("session.update")

    async def begin(self, response_id: str = "r1", **fields: Any) -> None:
        """Begin a response."""
        response = {"id": response_id, "status": "in_progress", "output": [], **fields}
        await self.send("response.created", response=response)

    async def audio(
        self, ms: float, item_id: str = "i1", response_id: str = "r1", rate: int = 48
    ) -> None:
        """Send so much audio, at so many bytes in a millisecond."""
        delta = base64.b64encode(bytes(int(ms * rate))).decode()
        part = spoken(item_id, response_id)
        await self.send("response.output_audio.delta", **part, delta=delta)

    async def audio_done(self, item_id: str = "i1", response_id: str = "r1") -> None:
        """Say that there is no more audio of an item."""
        await self.send("response.output_audio.done", **spoken(item_id, response_id))

    async def words(self, words: str, item_id: str = "i1", rid: str = "r1") -> None:
        """Send a piece of what is said."""
        kind = "response.output_audio_transcript.delta"
        await self.send(kind, **spoken(item_id, rid), delta=words)

    async def end(
        self, *output: Event, response_id: str = "r1", status: str = "completed"
    ) -> None:
        """End a response."""
        response = {"id": response_id, "status": status, "output": output}
        await self.send("response.done", response={**response, "usage": USAGE})

    async def item(self, moment: str, item: Mapping[str, Any], **fields: Any) -> None:
        """Tell of an item of the conversation."""
        await self.send(f"conversation.item.{moment}", item=item, **fields)

    async def output(self, moment: str, item: Mapping[str, Any]) -> None:
        """Tell of an item of the response."""
        place = {"output_index": 0, "response_id": "r1"}
        await self.send(f"response.output_item.{moment}", item=item, **place)

    async def speech(self) -> None:
        """Hear that somebody speaks."""
        kind = "input_audio_buffer.speech_started"
        await self.send(kind, item_id="u1", audio_start_ms=0)

    async def call(self, name: str, arguments: str = "{}", number: int = 1) -> None:
        """Have the model call a function."""
        item = called(name, arguments, number)
        await self.output("added", {**item, "status": "in_progress", "arguments": ""})
        await self.output("done", item)


USAGE = {
    "input_tokens": 7,
    "output_tokens": 5,
    "total_tokens": 12,
    "input_token_details": {"text_tokens": 7},
    "output_token_details": {"audio_tokens": 5},
}


def spoken(item_id: str, response_id: str = "r1") -> Event:
    """Say where a piece of speech belongs."""
    place = {"output_index": 0, "content_index": 0}
    return {"item_id": item_id, "response_id": response_id, **place}


def called(name: str, arguments: str = "{}", number: int = 1) -> Event:
    """Make a function call that is complete."""
    own = {"id": f"f{number}", "type": "function_call", "call_id": f"call_{number}"}
    return {**own, "name": name, "arguments": arguments, "status": "completed"}


def message(item_id: str, role: str = "user", *content: Event, **fields: Any) -> Event:
    """Make a message."""
    own = {"id": item_id, "type": "message", "role": role, "status": "completed"}
    return {**own, "content": content, **fields}


async def refuse(stage: Stage) -> None:
    """Let nobody in, which `staged` does."""


def _script(request: Request) -> str:
    [name] = parse_qs(urlsplit(request.path).query)["script"]
    return name


@asynccontextmanager
async def staged(
    scripts: Mapping[str, Script], played: dict[str, Stage]
) -> AsyncIterator[str]:
    """Serve scripts by their names; the stages are kept when they are over.

    Who comes for `refuse` is not let in.
    """

    def admit(connection: ServerConnection, request: Request) -> Response | None:
        name = _script(request)
        played[name] = Stage(connection)
        if scripts[name] is refuse:
            return connection.respond(401, "Nobody knows this key.")
        return None

    async def handle(connection: ServerConnection) -> None:
        assert connection.request
        name = _script(connection.request)
        stage = played[name]
        reading = asyncio.create_task(stage.read())
        try:
            await scripts[name](stage)
            async with asyncio.timeout(PATIENCE):
                await reading
        except ConnectionClosed:
            pass  # as the script says, or else its trace is too short
        except TimeoutError:
            stage.failure = "The script did not come to its end."
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async with serve(
        handle, "127.0.0.1", 0, process_request=admit, close_timeout=0.1
    ) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
