"""A session against a server that says what a test wants, event by event."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from agents import function_tool

from offhook.agent import RealtimeAgent, RealtimeSession
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from tests.transports.conformance import scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.server import ServerConnection

Event = dict[str, Any]

# All but the raw events, and the history as a whole.
NAMES = (
    "agent_start",
    "agent_end",
    "agent_handoff",
    "agent_tool_start",
    "agent_tool_end",
    "tool_approval_requested",
    "audio_start",
    "audio",
    "audio_stopped",
    "audio_interrupted",
    "guardrail_tripped",
    "history_added",
    "mcp_tools_changed",
    "mcp_tool_call_completed",
    "error",
)
PING = "a.ping"


class Server:
    """The far end of a connection."""

    def __init__(self, connection: ServerConnection) -> None:
        self.heard: list[Event] = []
        request = connection.request
        self.query = request.path.partition("?")[2] if request else ""
        self._connection = connection
        self._changed = asyncio.Event()
        self._at = 0

    async def listen(self) -> None:
        async for text in self._connection:
            self.heard.append(json.loads(text))
            self._changed.set()

    async def next(self, kind: str) -> Event:
        """Wait for the next event of a type; what comes before is passed over."""
        async with asyncio.timeout(20):
            while True:
                while self._at < len(self.heard):
                    event = self.heard[self._at]
                    self._at += 1
                    if event["type"] == kind:
                        return event
                self._changed.clear()
                await self._changed.wait()

    async def hang_up(self, code: int = 1011) -> None:
        await self._connection.close(code)

    async def say(self, kind: str, **fields: Any) -> None:
        await self._connection.send(json.dumps({"type": kind, **fields}))

    async def begin(self, response_id: str) -> None:
        await self.say("response.created", response={"id": response_id})

    async def end(
        self, response_id: str, *output: Event, status: str = "completed"
    ) -> None:
        usage = {"input_tokens": 3, "output_tokens": 4}
        response = {"id": response_id, "status": status, "usage": usage}
        await self.say("response.done", response={**response, "output": output})

    async def call(
        self, name: str, arguments: Any = "{}", *, call_id: str = "c1", by: str = "r1"
    ) -> Event:
        item = {
            "id": f"item_{call_id}",
            "type": "function_call",
            "status": "completed",
            "call_id": call_id,
            "name": name,
            "arguments": arguments,
        }
        await self.say("response.output_item.done", response_id=by, item=item)
        return item

    async def turn(self, *calls: tuple[str, Any, str], response_id: str) -> None:
        """Make a response of calls: name, arguments, id."""
        await self.begin(response_id)
        output = [
            await self.call(name, arguments, call_id=call_id, by=response_id)
            for name, arguments, call_id in calls
        ]
        await self.end(response_id, *output)

    async def words(
        self, text: str, *, by: str = "r1", item_id: str = "m1", spoken: bool = True
    ) -> Event:
        """Say something, in one piece of text and a second of sound."""
        where = {"response_id": by, "item_id": item_id, "content_index": 0}
        if spoken:
            delta = base64.b64encode(bytes(48000)).decode()
            await self.say("response.output_audio.delta", **where, delta=delta)
            kind = "response.output_audio_transcript.delta"
            part = {"type": "output_audio", "transcript": text}
        else:
            kind = "response.output_text.delta"
            part = {"type": "output_text", "text": text}
        await self.say(kind, **where, delta=text)
        message = {"id": item_id, "type": "message", "role": "assistant"}
        return {**message, "status": "completed", "content": [part]}

    def kinds(self, *, since: int = 0) -> list[str]:
        return [event["type"] for event in self.heard[since:] if event["type"] != PING]


class Told:
    """What a session tells, in order."""

    def __init__(self, session: RealtimeSession) -> None:
        self.events: list[tuple[str, tuple[Any, ...]]] = []
        self._changed = asyncio.Event()
        self._at = 0
        self._session = session
        self._listeners = {name: partial(self.note, name) for name in NAMES}
        for name, listener in self._listeners.items():
            session.on(name, listener)

    def ignore(self, name: str) -> None:
        self._session.off(name, self._listeners[name])

    def note(self, name: str, *args: Any) -> None:
        self.events.append((name, args))
        self._changed.set()

    async def next(self, wanted: str) -> tuple[Any, ...]:
        """Wait for the next event of a name; what comes before is passed over."""
        async with asyncio.timeout(20):
            while True:
                while self._at < len(self.events):
                    name, args = self.events[self._at]
                    self._at += 1
                    if name == wanted:
                        return args
                self._changed.clear()
                await self._changed.wait()

    async def first(self, wanted: str) -> tuple[Any, ...]:
        """Wait for the first event of a name, whatever else came when."""
        async with asyncio.timeout(20):
            while not (found := self.all(wanted)):
                self._changed.clear()
                await self._changed.wait()
        return found[0]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def all(self, wanted: str) -> list[tuple[Any, ...]]:
        return [args for name, args in self.events if name == wanted]


class Scene:
    """A session, what it tells, and the servers it has been connected to."""

    def __init__(self, session: RealtimeSession, servers: asyncio.Queue[Server]):
        self.session = session
        self.told = Told(session)
        self._servers = servers

    async def connect(self) -> Server:
        await self.session.connect()
        return await self.server()

    async def server(self) -> Server:
        """Wait for the next connection."""
        async with asyncio.timeout(20):
            return await self._servers.get()

    async def settled(self, server: Server) -> None:
        """Wait until all that was sent so far has come."""
        self.session.transport.send_event({"type": PING})
        await server.next(PING)


@asynccontextmanager
async def scene(
    agent: RealtimeAgent[Any] | None = None, **options: Any
) -> AsyncIterator[Scene]:
    """Make a session to a scripted server."""
    servers: asyncio.Queue[Server] = asyncio.Queue()

    async def script(connection: ServerConnection) -> None:
        server = Server(connection)
        servers.put_nowait(server)
        await server.listen()

    async with scripted(script) as url:
        transport = options.pop("transport", None) or OpenAIRealtimeWebSocket(
            url=url, api_key="sk-any"
        )
        agent = agent or RealtimeAgent(name="Greeter", tools=[get_weather])
        async with RealtimeSession(agent, transport=transport, **options) as session:
            yield Scene(session, servers)


@function_tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"It is sunny in {city}."


PARIS = ("get_weather", '{"city": "Paris"}', "c1")
