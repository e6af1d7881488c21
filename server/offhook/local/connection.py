"""Drives one `protocol.endpoint` with the engines: its effects become work."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from offhook.errors import InvalidRequest, McpError, OffhookError
from offhook.events import Event, parse
from offhook.local.mcp import McpClients
from offhook.protocol.effects import (
    Abandon,
    CallTool,
    Effect,
    Generate,
    Listen,
    ListTools,
    Recognise,
    Reply,
    Send,
)
from offhook.protocol.prompt import ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from offhook.protocol.endpoint import Endpoint
    from offhook.speech.engines import Engines

_log = logging.getLogger(__name__)

# Audio waiting for the ear. A real-time caller never gets there; one that pours in a
# file faster than it can be heard waits for `room`, and who does not wait is unheard.
_BACKLOG_BYTES = 4 * 2**20
_CHUNK_BYTES = 48_000  # a second


class Connection:
    """One live session: transport in front, engines behind.

    Use as an async context manager; leaving stops all of its work. All methods belong
    to the event loop and return at once.

    Args:
        endpoint: The state machine.
        engines: Hear, think and speak.
        send: Puts one event on the wire; must not block.
    """

    def __init__(
        self, endpoint: Endpoint, engines: Engines, send: Callable[[Event], None]
    ) -> None:
        self._endpoint = endpoint
        self._engines = engines
        self._send = self._reply = send
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()  # bounded by _backlog
        self._backlog = 0
        self._room = asyncio.Event()
        self._room.set()
        self._began = 0.0
        self._mcp = McpClients()
        self._work = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()
        self._answers: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Connection:
        self._began = time.monotonic()
        await self._mcp.__aenter__()
        await self._work.__aenter__()
        self._start(self._listen())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._running:
            task.cancel()
        try:
            await self._work.__aexit__(kind, error, trace)
        finally:
            await self._mcp.__aexit__(kind, error, trace)

    def open(self) -> None:
        """Greet the client."""
        self._endpoint.open()
        self._flush()

    def receive(
        self, text: str | bytes, reply: Callable[[Event], None] | None = None
    ) -> None:
        """Take one message of a client's.

        Args:
            text: What it sent.
            reply: Gets the error, if there is one; by default `send` does.
        """
        self._reply = reply or self._send
        try:
            self._endpoint.receive(parse(text))
        except InvalidRequest as error:
            self._endpoint.refuse(error)
        self._flush()

    def expire(self) -> str:
        """Tell the client that the session has lasted too long; return the reason."""
        reason = self._endpoint.expire(time.monotonic() - self._began)
        self._flush()
        return reason

    async def room(self) -> None:
        """Return when the ear has caught up; await it between messages."""
        await self._room.wait()

    def hear(self, pcm: bytes) -> None:
        """Take the caller's audio: 24 kHz PCM."""
        self._endpoint.hear(pcm)
        self._flush()

    def pull(self, ms: int) -> bytes:
        """Take the next `ms` of audio to play."""
        pcm = self._endpoint.pull(ms)
        self._flush()
        return pcm

    def _flush(self) -> None:
        for effect in self._endpoint.drain():
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Send(event):
                self._send(event)
            case Reply(event):
                self._reply(event)
            case Listen(pcm):
                self._queue(pcm)
            case Recognise():
                self._start(self._recognise(effect))
            case Generate():
                self._answers[effect.response_id] = self._start(self._generate(effect))
            case Abandon(response_id):
                if answer := self._answers.pop(response_id, None):
                    answer.cancel()
            case ListTools():
                self._start(self._list_tools(effect))
            case CallTool():
                self._start(self._call_tool(effect))

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._work.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _queue(self, pcm: bytes) -> None:
        if self._backlog < 2 * _BACKLOG_BYTES:
            # All calls share one ear: nobody may have it for longer than a moment.
            for at in range(0, len(pcm), _CHUNK_BYTES):
                self._chunks.put_nowait(pcm[at : at + _CHUNK_BYTES])
            self._backlog += len(pcm)
        if self._backlog > _BACKLOG_BYTES:
            self._room.clear()

    async def _listen(self) -> None:
        with contextlib.closing(self._engines.listener()) as listener:
            while True:
                pcm = await self._chunks.get()
                # Under load several have gathered; together they cost less.
                while len(pcm) < _CHUNK_BYTES and not self._chunks.empty():
                    pcm += self._chunks.get_nowait()
                self._backlog -= len(pcm)
                if self._backlog <= _BACKLOG_BYTES:
                    self._room.set()
                try:
                    activity = await listener.feed(pcm)
                except Exception:
                    # The next chunk brings what was not heard of this one.
                    _log.exception("the ear failed")
                    continue
                self._endpoint.notice((a.at_ms, a.probability) for a in activity)
                self._flush()

    async def _recognise(self, turn: Recognise) -> None:
        try:
            text = await self._engines.recognise(turn.pcm)
            complete = not turn.judge or await self._engines.complete(turn.pcm, text)
            self._endpoint.heard(turn.item_id, turn.attempt, text, complete)
        except Exception:
            _log.exception("the recogniser failed")
            self._endpoint.unheard(
                turn.item_id, turn.attempt, "The speech could not be recognised."
            )
        self._flush()

    async def _list_tools(self, request: ListTools) -> None:
        try:
            tools = await self._mcp.list_tools(request.server)
            self._endpoint.listed(request.item_id, tools)
        except Exception as error:
            _log.warning("no tools: %s", error)
            self._endpoint.unlisted(request.item_id)
        self._flush()

    async def _call_tool(self, request: CallTool) -> None:
        try:
            output = await self._mcp.call(
                request.server, request.name, request.arguments
            )
            self._endpoint.returned(request.item_id, output)
        except McpError as error:
            self._endpoint.failed(request.item_id, error.error)
        except Exception as error:
            _log.exception("a tool could not be called")
            failure = McpError("tool_execution_error", str(error))
            self._endpoint.failed(request.item_id, failure.error)
        self._flush()

    async def _generate(self, request: Generate) -> None:
        answer = request.response_id
        try:
            await self._speak(request)
            self._endpoint.finish(answer)
        except OffhookError as error:
            _log.warning("no answer: %s", error)
            self._endpoint.fail(answer, error.code or "server_error")
        except Exception:
            _log.exception("the answer failed")
            self._endpoint.fail(answer, "server_error")
        self._answers.pop(answer, None)
        self._flush()

    async def _speak(self, request: Generate) -> None:
        space = ""
        async for part in self._engines.reply(request.prompt):
            if isinstance(part, ToolCall):
                self._endpoint.call(request.response_id, part.name, part.arguments)
                self._flush()
                continue
            self._endpoint.say(request.response_id, space + part)
            space = " "
            self._flush()
            if request.modality == "audio":
                await self._voice(request, part)

    async def _voice(self, request: Generate, sentence: str) -> None:
        voice, speed = request.voice, request.speed
        async for pcm in self._engines.synthesise(sentence, voice, speed):
            self._endpoint.sound(request.response_id, pcm)
            self._flush()
