"""What transports to OpenAI share: audio in events, and what was heard is known."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar
from urllib.parse import urlencode

from offhook.errors import InvalidRequest, ServerError, WireClosed
from offhook.events import parse, serialise
from offhook.protocol.client import Client, Transmit
from offhook.protocol.playback import PlaybackLedger
from offhook.protocol.session_names import DEFAULT_MODEL
from offhook.protocol.transport_events import TransportError
from offhook.transports.emitter import Emitter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from offhook.events import Event
    from offhook.protocol.items import Item
    from offhook.protocol.transport_events import FunctionCall, Status
    from offhook.transports.base import ApiKey
    from offhook.transports.emitter import Listener, Stream
    from offhook.wire.base import Wire

_log = logging.getLogger(__name__)

_URL = "wss://api.openai.com/v1/realtime"
# What may wait to be sent: six minutes of speech. Who sends more does not drain.
_UNSENT_BYTES = 24 * 2**20


# Connects to a URL with a key, and closes at the end.
Opener = Callable[[str, str], AbstractAsyncContextManager["Wire"]]

_P = ParamSpec("_P")
_R = TypeVar("_R")


class OpenAITransport:
    """A Realtime session over whatever wire the opener gives.

    Args:
        opener: Opens the wire; what it raises, `connect` raises.
        api_key: A key, or a function that gives one; `connect` may get another.
        model: The model to ask for.
        url: Where to connect to, with its query; by default OpenAI.
        reported: Whether you tell what was heard, by `played`; otherwise audio counts
            as played from when it came.
    """

    muted = None

    def __init__(
        self,
        opener: Opener,
        *,
        api_key: ApiKey | None = None,
        model: str | None = None,
        url: str | None = None,
        reported: bool = False,
    ) -> None:
        self.status: Status = "disconnected"
        self._opener = opener
        self._api_key = api_key
        self._model = model
        self._url = url
        self._ledger = PlaybackLedger(reported=reported)
        self._client = Client(self._ledger)
        self._emitter = Emitter()
        self._unsent: deque[str] = deque()  # bounded by _UNSENT_BYTES
        self._unsent_bytes = 0
        self._changed = asyncio.Event()
        self._sent = asyncio.Event()
        self._opened: asyncio.Future[None] | None = None
        self._session: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def history(self) -> tuple[Item, ...]:
        """The conversation, as far as it came over this transport."""
        return self._client.history.items

    def on(self, name: str, listener: Listener) -> Self:
        """See RealtimeTransportLayer."""
        self._emitter.on(name, listener)
        return self

    def once(self, name: str, listener: Listener) -> Self:
        """See RealtimeTransportLayer."""
        self._emitter.once(name, listener)
        return self

    def off(self, name: str, listener: Listener) -> Self:
        """See RealtimeTransportLayer."""
        self._emitter.off(name, listener)
        return self

    def stream(self, name: str, maxsize: int = 256) -> Stream:
        """See RealtimeTransportLayer."""
        return self._emitter.stream(name, maxsize)

    async def connect(
        self,
        *,
        api_key: ApiKey | None = None,
        model: str | None = None,
        url: str | None = None,
        call_id: str | None = None,
        initial_session_config: Mapping[str, Any] | None = None,
    ) -> None:
        """See RealtimeTransportLayer; with `call_id` it joins a call as a sideband.

        Raises:
            InvalidRequest: It is connected already, there is no key, or `close` was
                called meanwhile.
            UpstreamError: The server cannot be reached, or refuses.
        """
        if self.status != "disconnected":
            raise InvalidRequest(
                "The transport is connected or connecting: close it first.",
                code="already_connected",
            )
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opened = opened
        self._set_status("connecting")
        try:
            key = await _resolved(api_key if api_key is not None else self._api_key)
            wanted = model or self._model
            target = url or _target(call_id, self._url, wanted)
            if not opened.done():
                self._session = asyncio.create_task(self._hold(target, key, opened))
            await opened
        except BaseException:
            opened.cancel()
            # After a close, another connect may be under way.
            if self._opened is opened:
                await self.close()
            raise
        self._update(initial_session_config or {}, wanted)

    async def drain(self) -> None:
        """See RealtimeTransportLayer."""
        while self._unsent and self.status == "connected":
            self._sent.clear()
            await self._sent.wait()

    async def close(self) -> None:
        """See RealtimeTransportLayer."""
        opened, self._opened = self._opened, None
        session, self._session = self._session, None
        if opened and not opened.done():
            opened.set_exception(
                InvalidRequest(
                    "The transport was closed before it had connected.",
                    code="closed_while_connecting",
                )
            )
        if session:
            session.cancel()
            await asyncio.wait([session])
        self._lose()
        await self._emitter.aclose()

    def send_event(self, event: Event) -> None:
        """See RealtimeTransportLayer."""
        self._check()
        self._client.send(dict(event))
        self._act()

    def request_response(self, response: Mapping[str, Any] | None = None) -> None:
        """See RealtimeTransportLayer."""
        self._check()
        self._client.request(response)
        self._act()

    def send_message(
        self,
        message: str | Sequence[Mapping[str, Any]],
        other_event_data: Mapping[str, Any] | None = None,
        *,
        trigger_response: bool = True,
    ) -> None:
        """See RealtimeTransportLayer."""
        self._check()
        self._client.say(message, other_event_data, respond=trigger_response)
        self._act()

    def add_image(self, image: str, *, trigger_response: bool = True) -> None:
        """See RealtimeTransportLayer."""
        content = [{"type": "input_image", "image_url": image}]
        self.send_message(content, trigger_response=trigger_response)

    def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
        """See RealtimeTransportLayer; without a connection it is lost."""
        if self.status == "connected":
            self._client.hear(audio, commit=commit)
            self._act()

    def update_session_config(self, config: Mapping[str, Any]) -> None:
        """See RealtimeTransportLayer."""
        self._check()
        self._update(config, None)

    def mute(self, muted: bool) -> None:
        """There is no microphone here.

        Raises:
            InvalidRequest: Always.
        """
        raise InvalidRequest(
            "A WebSocket has no microphone to mute: send no audio instead.",
            code="not_supported",
        )

    def played(self, item_id: str, ms: float, content_index: int = 0) -> None:
        """Tell how much of an item has been heard, if `reported` was asked for."""
        self._ledger.played(item_id, ms, content_index)

    def send_function_call_output(
        self, call: FunctionCall, output: str, *, start_response: bool = True
    ) -> None:
        """See RealtimeTransportLayer."""
        self._check()
        self._client.give_output(call.call_id, output, respond=start_response)
        self._act()

    def interrupt(self) -> None:
        """See RealtimeTransportLayer."""
        self._check()
        self._client.interrupt(_now_ms())
        self._act()

    def reset_history(self, old: Sequence[Item], new: Sequence[Item]) -> None:
        """See RealtimeTransportLayer."""
        self._check()
        self._warn(self._client.reset_history(old, new))
        self._act()

    def send_mcp_response(
        self, request_id: str, approve: bool, reason: str | None = None
    ) -> None:
        """See RealtimeTransportLayer."""
        self._check()
        self._client.approve(request_id, approve, reason)
        self._act()

    def _check(self) -> None:
        if self.status != "connected":
            raise InvalidRequest(
                "The transport is not connected: await connect() first.",
                code="not_connected",
            )

    def _update(self, config: Mapping[str, Any], model: str | None) -> None:
        self._warn(self._client.configure(config, model))
        self._act()

    @staticmethod
    def _warn(warnings: list[str]) -> None:
        for warning in warnings:
            _log.warning("%s", warning)

    def _set_status(self, status: Status) -> None:
        if status != self.status:
            self.status = status
            self._emitter.emit("connection_change", status)

    def _act(self) -> None:
        for effect in self._client.drain():
            if isinstance(effect, Transmit):
                self._put(serialise(effect.event))
            else:
                self._emitter.emit(effect.name, *effect.payload)

    def _put(self, text: str) -> None:
        if self._unsent_bytes + len(text) > _UNSENT_BYTES:
            raise ServerError(
                "Too much waits to be sent: await drain() between large pieces.",
                code="send_buffer_full",
            )
        self._unsent.append(text)
        self._unsent_bytes += len(text)
        self._changed.set()

    async def _hold(self, url: str, key: str, opened: asyncio.Future[None]) -> None:
        try:
            async with AsyncExitStack() as stack:
                wire = await stack.enter_async_context(self._opener(url, key))
                self._set_status("connected")
                opened.set_result(None)
                self._emitter.emit("connected")
                writing = asyncio.create_task(self._write(wire))
                stack.push_async_callback(_ended, writing)
                await self._read(wire)
        except Exception as error:
            if opened.done():
                self._lose(error)
            else:
                opened.set_exception(error)
        else:
            self._lose()

    async def _read(self, wire: Wire) -> None:
        async for text in wire:
            try:
                event = parse(text)
            except InvalidRequest:
                _log.warning("a message that is no event was left out")
                continue
            if isinstance(event.get("type"), str):
                self._client.take(event, _now_ms())
                self._act()
        closed = wire.closed
        if closed and closed.close_code not in (1000, 1001, 1005):
            raise closed

    async def _write(self, wire: Wire) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._unsent:
                text = self._unsent[0]
                try:
                    await wire.send(text)
                except WireClosed:
                    return  # who reads tells why
                self._unsent.popleft()
                self._unsent_bytes -= len(text)
            self._sent.set()

    def _lose(self, error: Exception | None = None) -> None:
        if self.status == "disconnected":
            return
        was_open = self.status == "connected"
        self._unsent.clear()
        self._unsent_bytes = 0
        self._client.reset()
        self._set_status("disconnected")
        self._sent.set()
        if error:
            self._emitter.emit("error", TransportError(error))
        if was_open:
            self._emitter.emit("disconnected")


def forwarded(
    method: Callable[Concatenate[OpenAITransport, _P], _R],
) -> Callable[Concatenate[Any, _P], _R]:
    """Make a method that calls this one of `self._transport`."""

    @wraps(method)
    def call(self: Any, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return method(self._transport, *args, **kwargs)

    return call


async def _resolved(api_key: ApiKey | None) -> str:
    key = api_key() if callable(api_key) else api_key
    if inspect.isawaitable(key):
        key = await key
    if not key:
        raise InvalidRequest(
            "There is no API key: pass api_key to connect().", code="missing_api_key"
        )
    return key


def _target(call_id: str | None, url: str | None, model: str | None) -> str:
    if call_id is not None:
        return f"{_URL}?{urlencode({'call_id': call_id})}"
    return url or f"{_URL}?{urlencode({'model': model or DEFAULT_MODEL})}"


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _now_ms() -> float:
    return time.monotonic() * 1000
