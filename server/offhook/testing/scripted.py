"""A transport without a network: your test is its server."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from offhook.errors import WireClosed
from offhook.events import serialise
from offhook.protocol.playback import PlaybackLedger
from offhook.transports.openai import OpenAITransport
from offhook.wire.memory import pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from offhook.events import Event
    from offhook.protocol.reconnect import Reconnect
    from offhook.wire.base import Wire

# Until something is wrong: nothing here waits for a network.
_PATIENCE_SECONDS = 5.0


class ScriptedRealtimeTransport(OpenAITransport):
    """A transport for tests of what uses one: the real client, and you at its far end.

    What the client sends you `expect`; what a server would say you `tell`, event by
    event, or a whole response at a time with `respond` and `call_function`.

        transport = ScriptedRealtimeTransport()
        session = RealtimeSession(agent, transport=transport)
        await session.connect()
        session.send_message("Hello?")
        await transport.expect("response.create")
        await transport.respond("Hello!")

    Args:
        reported: As for OpenAIRealtimeWebSocket.
        reconnect: Likewise.

    Attributes:
        sent: All that the client has sent, as far as you expected it or passed it over.
    """

    def __init__(
        self, *, reported: bool = False, reconnect: Reconnect | None = None
    ) -> None:
        super().__init__(
            self._opened,
            api_key="scripted",
            ledger=PlaybackLedger(reported=reported),
            reconnect=reconnect,
        )
        self.sent: list[Event] = []
        self._far: Wire | None = None
        self._refusals: list[Exception] = []
        self._numbers = itertools.count(1)
        self._last_item: str | None = None

    def refuse(self, error: Exception) -> None:
        """Let the next attempt to connect fail; once for each call."""
        self._refusals.append(error)

    async def expect(self, type: str, **fields: Any) -> Event:
        """Wait for the next event of this type from the client; others are passed over.

        Args:
            type: Its type.
            fields: What it has to say, too; an object may say more than that.

        Raises:
            AssertionError: None came within five seconds, or one of another content.
        """
        passed: list[str] = []
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while True:
                    event: Event = json.loads(await self._end().receive())
                    self.sent.append(event)
                    if event["type"] == type:
                        break
                    passed.append(event["type"])
        except (TimeoutError, WireClosed):
            raise AssertionError(f"no {type} came, but {passed}") from None
        if not _contains(event, fields):
            raise AssertionError(f"{event} does not say {fields}")
        return event

    async def tell(self, type: str, **fields: Any) -> None:
        """Say something as the server, and return when the client has taken it."""
        event = {"type": type, "event_id": self._id("event"), **fields}
        taken = asyncio.Event()

        def take(told: Event) -> None:
            if told.get("event_id") == event["event_id"]:
                taken.set()

        self.on("*", take)
        try:
            await self._end().send(serialise(event))
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await taken.wait()
        finally:
            self.off("*", take)

    async def respond(self, text: str, *, audio: bytes | None = None) -> None:
        """Tell a whole response that says this, spoken if there is audio."""
        events: list[Event]
        if audio is None:
            part: Event = {"type": "output_text", "text": text}
            empty: Event = {"type": "output_text", "text": ""}
            events = [
                {"type": "response.output_text.delta", "delta": text},
                {"type": "response.output_text.done", "text": text},
            ]
        else:
            part = {"type": "output_audio", "transcript": text}
            empty = {"type": "output_audio", "transcript": ""}
            delta, words = base64.b64encode(audio).decode(), "output_audio_transcript"
            events = [
                {"type": "response.output_audio.delta", "delta": delta},
                {"type": f"response.{words}.delta", "delta": text},
                {"type": "response.output_audio.done"},
                {"type": f"response.{words}.done", "transcript": text},
            ]
        told = {"type": part["type"].removeprefix("output_")}
        first = {"type": "response.content_part.added", "part": {**empty, **told}}
        last = {"type": "response.content_part.done", "part": {**part, **told}}
        item = {"type": "message", "role": "assistant", "content": [part]}
        inside = [{**event, "content_index": 0} for event in (first, *events, last)]
        await self._respond(item, {"content": []}, inside)

    async def call_function(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Tell a response that calls a function, and return the call's id."""
        call_id, written = self._id("call"), json.dumps(arguments)
        item = {"type": "function_call", "call_id": call_id, "name": name}
        kind, about = "response.function_call_arguments", {"call_id": call_id}
        inside: list[Event] = [
            {"type": f"{kind}.delta", "delta": written, **about},
            {"type": f"{kind}.done", "arguments": written, "name": name, **about},
        ]
        called = {**item, "arguments": written}
        await self._respond(called, {"arguments": ""}, inside)
        return call_id

    async def hang_up(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection as the server; 1000 is no error, 1011 is one."""
        await self._end().close(code, reason)

    @asynccontextmanager
    async def _opened(self, url: str, key: str) -> AsyncIterator[Wire]:
        if self._refusals:
            raise self._refusals.pop(0)
        near, self._far = pair()
        try:
            yield near
        finally:
            await near.close()

    def _end(self) -> Wire:
        if self._far is None:
            raise AssertionError("nothing has connected yet")
        return self._far

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers)}"

    async def _respond(self, item: Event, empty: Event, inside: list[Event]) -> None:
        response_id, item_id = self._id("resp"), self._id("item")
        named = {"id": item_id, "object": "realtime.item", **item}
        begun = {**named, **empty, "status": "in_progress"}
        done = {**named, "status": "completed"}
        response = {
            "id": response_id,
            "object": "realtime.response",
            "conversation_id": "conv_1",
        }
        at = {"response_id": response_id, "output_index": 0}
        placed = {"previous_item_id": self._last_item}
        self._last_item = item_id
        events: list[Event] = [
            {
                "type": "response.created",
                "response": {**response, "status": "in_progress", "output": []},
            },
            {"type": "response.output_item.added", **at, "item": begun},
            {"type": "conversation.item.added", **placed, "item": begun},
            *({**event, **at, "item_id": item_id} for event in inside),
            {"type": "conversation.item.done", **placed, "item": done},
            {"type": "response.output_item.done", **at, "item": done},
            {
                "type": "response.done",
                "response": {**response, "status": "completed", "output": [done]},
            },
        ]
        for event in events:
            await self.tell(event.pop("type"), **event)


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and isinstance(value, dict):
        return all(k in value and _contains(value[k], w) for k, w in wanted.items())
    return bool(value == wanted)
