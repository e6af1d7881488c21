"""Events by name: listeners, and streams of them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from offhook.errors import redact

_log = logging.getLogger(__name__)

# How many coroutine listeners may run at a time; what comes on top is not started.
_RUNNING = 1000
# How long those that run at the end have before they are cancelled.
_GRACE_SECONDS = 1.0

Listener = Callable[..., object]


@dataclass(eq=False, slots=True)
class _Registration:
    listener: Listener
    once: bool
    spent: bool = False


class Emitter:
    """Passes events to whoever listens, with Node's semantics but for its traps.

    An error that nobody listens to is logged, not raised, and so is what a listener
    raises. Belongs to one event loop.
    """

    def __init__(self, *, grace: float = _GRACE_SECONDS) -> None:
        """Prepare; there are no listeners yet.

        Args:
            grace: Seconds that coroutine listeners have to end in `aclose`.
        """
        self._grace = grace
        self._registrations: dict[str, list[_Registration]] = {}
        self._streams: dict[str, list[Stream]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()  # bounded by _RUNNING
        self._closing = False

    def on(self, name: str, listener: Listener) -> Self:
        """Call a listener at each event of this name, after those already there.

        If it is a coroutine function, each call runs as a task, beside the others.
        """
        return self._register(name, _Registration(listener, once=False))

    def once(self, name: str, listener: Listener) -> Self:
        """Call a listener at the next event of this name only."""
        return self._register(name, _Registration(listener, once=True))

    def off(self, name: str, listener: Listener) -> Self:
        """Remove a listener's latest registration, if it has one."""
        for registration in reversed(self._registrations.get(name, [])):
            if registration.listener == listener:
                self._remove(name, registration)
                break
        return self

    def emit(self, name: str, *args: Any) -> bool:
        """Pass an event on before returning, and tell whether anybody listens.

        Who comes or goes meanwhile does so for the next event.
        """
        registrations = tuple(self._registrations.get(name, ()))
        streams = tuple(self._streams.get(name, ()))
        for registration in registrations:
            if registration.once:
                # A listener before this one may have emitted the same name.
                if registration.spent:
                    continue
                registration.spent = True
                self._remove(name, registration)
            self._call(name, registration.listener, args)
        for stream in streams:
            stream.put(args)
        if registrations or streams:
            return True
        if name == "error":
            what = redact(", ".join(map(repr, args)))
            _log.error("an error that nobody listens to: %s", what)
        return False

    def stream(self, name: str, maxsize: int = 256) -> Stream:
        """Collect events of this name from now on, for one `async for`.

        Args:
            name: The name of the events.
            maxsize: How many may wait; the oldest are dropped for more, and counted.

        Raises:
            ValueError: There is no room for even one event.
        """
        if maxsize < 1:
            raise ValueError("a stream needs room for one event")
        streams = self._streams.setdefault(name, [])
        stream = Stream(maxsize, streams.remove)
        streams.append(stream)
        return stream

    async def aclose(self) -> None:
        """End the streams and the coroutine listeners that still run.

        These have the time of grace and are then cancelled, or at once where this is
        cancelled; a listener that calls it goes on. Registrations stay and the emitter
        works on: a transport may connect again.
        """
        for streams in self._streams.values():
            for stream in tuple(streams):
                stream.end()
        running = self._tasks - {asyncio.current_task()}
        self._closing = True
        try:
            if running:
                await asyncio.wait(running, timeout=self._grace)
        finally:
            self._closing = False
            for task in running:
                task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _register(self, name: str, registration: _Registration) -> Self:
        self._registrations.setdefault(name, []).append(registration)
        return self

    def _remove(self, name: str, registration: _Registration) -> None:
        with contextlib.suppress(ValueError):
            self._registrations[name].remove(registration)

    def _call(self, name: str, listener: Listener, args: tuple[Any, ...]) -> None:
        try:
            result = listener(*args)
            if inspect.iscoroutine(result):
                self._start(name, listener, result)
        except (Exception, asyncio.CancelledError) as error:
            # Nothing is awaited here: whoever was cancelled, it is not this task.
            _log_failure(name, listener, error)

    def _start(
        self, name: str, listener: Listener, work: Coroutine[Any, Any, Any]
    ) -> None:
        if self._closing or len(self._tasks) >= _RUNNING:
            work.close()
            _log.warning(
                "%s of %s was not started: %s",
                *(_name(listener), name),
                "the emitter closes" if self._closing else f"{_RUNNING} are running",
            )
            return
        try:
            task = asyncio.get_running_loop().create_task(work)
        except RuntimeError:
            work.close()
            raise
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, name, listener))

    def _ended(self, name: str, listener: Listener, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            error: BaseException | None = task.exception()
        else:
            # Not by us: it awaited something that was cancelled.
            error = None if task.cancelling() else asyncio.CancelledError()
        if error:
            _log_failure(name, listener, error)


class Listened:
    """What tells its events by an emitter; a part of transports and sessions.

    Args:
        emitter: Passes them on.
    """

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter

    def on(self, name: str, listener: Listener) -> Self:
        """Call a function, or start a coroutine function, at each event."""
        self._emitter.on(name, listener)
        return self

    def once(self, name: str, listener: Listener) -> Self:
        """The same for the next event only."""
        self._emitter.once(name, listener)
        return self

    def off(self, name: str, listener: Listener) -> Self:
        """Stop calling it."""
        self._emitter.off(name, listener)
        return self

    def stream(self, name: str, maxsize: int = 256) -> Stream:
        """Collect events for an `async for`."""
        return self._emitter.stream(name, maxsize)


class Stream:
    """Events of one name, in order, for one consumer.

    Each is the argument it was emitted with, or the tuple of them unless there is just
    one. Leave it with `async with` or `aclose` where the loop may end before it does.

    Attributes:
        dropped: How many events had no room, for the consumer to tell a gap.
    """

    def __init__(self, maxsize: int, leave: Callable[[Stream], None]) -> None:
        self.dropped = 0
        # Drops the oldest: who is late in a call wants what is said now.
        self._events: deque[Any] = deque(maxlen=maxsize)
        self._leave = leave
        self._ended = False
        self._changed = asyncio.Event()

    def put(self, args: tuple[Any, ...]) -> None:
        """Add an event."""
        if self._ended:
            return  # it was ended by a listener of the same event
        self.dropped += len(self._events) == self._events.maxlen
        self._events.append(args[0] if len(args) == 1 else args)
        self._changed.set()

    def end(self) -> None:
        """Add nothing any more; what waits can still be consumed."""
        if not self._ended:
            self._ended = True
            self._leave(self)
            self._changed.set()

    async def aclose(self) -> None:
        """End it and drop what waits."""
        self._events.clear()
        self.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """Wait for the next event; cancelling loses none."""
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()


def _name(listener: Listener) -> str:
    return getattr(listener, "__qualname__", None) or repr(listener)


def _log_failure(name: str, listener: Listener, error: BaseException) -> None:
    _log.error("%s of %s failed", _name(listener), name, exc_info=error)
