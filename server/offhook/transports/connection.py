"""A transport's connection: opened, held, lost; where that is asked, opened again."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING

from offhook.errors import InvalidRequest, OffhookError, WireClosed
from offhook.events import parse, serialise
from offhook.protocol.client import Transmit
from offhook.protocol.transport_events import (
    Reconnected,
    Reconnecting,
    TransportError,
)
from offhook.transports.outbox import Outbox

if TYPE_CHECKING:
    from offhook.protocol.client import Client
    from offhook.protocol.reconnect import Reconnect
    from offhook.protocol.transport_events import Status
    from offhook.transports.base import ApiKey
    from offhook.transports.emitter import Emitter
    from offhook.wire.base import Wire

_log = logging.getLogger(__name__)

# The server has ended it in order (RFC 6455 §7.4.1): no error to tell.
_LEFT = (1000, 1001, 1005)

# Connects to a URL with a key, and closes at the end.
Opener = Callable[[str, str], AbstractAsyncContextManager["Wire"]]


class Connection:
    """Carries a client's events over the wires that an opener gives, one at a time.

    Args:
        client: What comes goes to it, and what it wants sent goes out.
        emitter: Is told what the client tells, and how the connection fares.
        opener: Opens a wire; what it raises at first, `open` raises.
        acknowledge: Seconds for the server to take the session's configuration before
            it counts as connected; None does not wait. Who is late is warned of.
        reconnect: What to do when it breaks; None lets it be.

    Attributes:
        status: Whether there is a connection.
    """

    def __init__(
        self,
        client: Client,
        emitter: Emitter,
        opener: Opener,
        *,
        acknowledge: float | None = None,
        reconnect: Reconnect | None = None,
    ) -> None:
        self.status: Status = "disconnected"
        self._client = client
        self._emitter = emitter
        self._opener = opener
        self._acknowledge = acknowledge
        self._reconnect = reconnect
        self._outbox = Outbox()
        self._opened: asyncio.Future[None] | None = None
        self._holding: asyncio.Task[None] | None = None
        self._configured = False
        self._was_open = False

    async def open(
        self, url: str, key: ApiKey | None, configure: Callable[[], bool]
    ) -> None:
        """Connect, and be configured.

        Args:
            url: Where to.
            key: Asked for anew at each attempt, if it is a function.
            configure: Tells the client what to say first, and whether it says anything.

        Raises:
            InvalidRequest: There is no key, or `close` was called meanwhile.
        """
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opened = opened
        self._was_open = False
        # The last one's may belong to another event loop.
        self._outbox = Outbox()
        self._set_status("connecting")
        try:
            # Waits for the wire, ahead of all that a listener may send.
            self._configured = configure()
            self.act()
            self._holding = asyncio.create_task(self._hold(url, key, opened))
            await opened
        except BaseException:
            opened.cancel()
            # After a close, another attempt may be under way.
            if self._opened is opened:
                await self.close()
            raise

    async def opening(self) -> None:
        """Wait for an attempt that another task has begun, and share its failure."""
        if self._opened:
            await asyncio.shield(self._opened)

    async def drain(self) -> None:
        """Wait until what was sent has left."""
        await self._outbox.drain()

    async def close(self) -> None:
        """Hang up; once or more, connected or not."""
        opened, self._opened = self._opened, None
        holding, self._holding = self._holding, None
        if opened and not opened.done():
            opened.set_exception(
                InvalidRequest(
                    "The transport was closed before it had connected.",
                    code="closed_while_connecting",
                )
            )
            opened.exception()  # whoever connects may be gone and never look
        if holding:
            holding.cancel()
            await asyncio.wait([holding])
        self._lose(None)

    def admit(self, characters: int) -> None:
        """Ask whether so much can be sent, before the client is told to.

        Raises:
            ServerError: Too much waits already.
        """
        self._outbox.admit(characters)

    def act(self) -> None:
        """Send what the client has to send, and tell what it has to tell."""
        for effect in self._client.drain():
            if isinstance(effect, Transmit):
                self._outbox.put(serialise(effect.event))
            else:
                self._emitter.emit(effect.name, *effect.payload)

    async def _hold(
        self, url: str, key: ApiKey | None, opened: asyncio.Future[None]
    ) -> None:
        failure: Exception
        try:
            failure = await self._persist(url, key, opened)
        except asyncio.CancelledError as cancelled:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            # A key's function, or an opener, has been cancelled from within.
            failure = OffhookError("What opens the connection was cancelled.")
            failure.__cause__ = cancelled
        except Exception as error:
            failure = error
        if opened.done():
            self._lose(failure)
        else:
            opened.set_exception(failure)

    async def _persist(
        self, url: str, key: ApiKey | None, opened: asyncio.Future[None]
    ) -> Exception:
        """Hold one wire after another, and return why there is none any more."""
        attempt = 0
        while True:
            failure = await self._converse(url, key, opened, attempt)
            # One that had been connected again begins to count anew.
            attempt = 1 if self.status == "connected" else attempt + 1
            again = self._reconnect
            if not (opened.done() and again and again.worthwhile(failure, attempt)):
                return failure
            seconds = again.delay(attempt, random.random())
            self._forget()
            self._set_status("connecting")
            self._emitter.emit("reconnecting", Reconnecting(attempt, seconds, failure))
            await asyncio.sleep(seconds)

    async def _converse(
        self, url: str, key: ApiKey | None, opened: asyncio.Future[None], attempt: int
    ) -> Exception:
        """Hold one wire to its end, and return why it ended."""
        try:
            async with AsyncExitStack() as stack:
                opening = self._opener(url, await _resolved(key))
                wire = await stack.enter_async_context(opening)
                if attempt:
                    self._resume()
                async with asyncio.TaskGroup() as group:
                    writing = self._outbox.write(wire, self._refused)
                    beside = [group.create_task(writing)]
                    if self._acknowledge is None or not self._configured or attempt:
                        self._begin(opened, attempt)
                    else:
                        late = self._give_up_waiting(opened, self._acknowledge)
                        beside.append(group.create_task(late))
                    await self._read(wire, opened)
                    for task in beside:
                        task.cancel()
        except ExceptionGroup as failures:
            return failures.exceptions[0]
        except Exception as error:
            return error
        return wire.closed or WireClosed(1006)

    def _refused(self, error: InvalidRequest) -> None:
        self._emitter.emit("error", TransportError(error))

    def _resume(self) -> None:
        for warning in self._client.resume():
            _log.warning("%s", warning)
        self.act()

    def _begin(self, opened: asyncio.Future[None], attempt: int = 0) -> None:
        if self.status == "connected":
            return
        self._was_open = True
        self._set_status("connected")
        if not opened.done():
            opened.set_result(None)
        self._emitter.emit("connected")
        if attempt:
            self._emitter.emit("reconnected", Reconnected(attempt))

    async def _give_up_waiting(
        self, opened: asyncio.Future[None], seconds: float
    ) -> None:
        await asyncio.sleep(seconds)
        if not opened.done():
            _log.warning("the server did not take the session within %g s", seconds)
            self._begin(opened)

    async def _read(self, wire: Wire, opened: asyncio.Future[None]) -> None:
        async for text in wire:
            try:
                event = parse(text)
            except InvalidRequest:
                _log.warning("a message that is no event was left out")
                continue
            if isinstance(event.get("type"), str):
                if event["type"] == "session.updated":
                    self._begin(opened)
                self._client.take(event, time.monotonic() * 1000)
                self.act()

    def _set_status(self, status: Status) -> None:
        if status != self.status:
            self.status = status
            self._emitter.emit("connection_change", status)

    def _forget(self) -> None:
        """Drop what belonged to a connection that is gone."""
        self._client.reset()
        self._outbox.clear()

    def _lose(self, failure: Exception | None) -> None:
        if self.status == "disconnected":
            return
        self._forget()
        self._set_status("disconnected")
        left = isinstance(failure, WireClosed) and failure.close_code in _LEFT
        if failure and not left:
            self._emitter.emit("error", TransportError(failure))
        if self._was_open:
            self._emitter.emit("disconnected")


async def _resolved(api_key: ApiKey | None) -> str:
    key = api_key() if callable(api_key) else api_key
    if inspect.isawaitable(key):
        key = await key
    if not key:
        raise InvalidRequest(
            "There is no API key: pass api_key to connect().", code="missing_api_key"
        )
    if not isinstance(key, str):
        raise InvalidRequest(
            f"api_key has to give a string, not {type(key).__name__}.",
            code="invalid_type",
            param="api_key",
        )
    return key
