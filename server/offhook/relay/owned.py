"""What a relay opens when it is first needed, and keeps open.

A mounted application never gets lifespan events, so nothing starts before it is needed.
What is opened lives in a task of its own, because it has to be closed by the task that
opened it. Connections belong to an event loop, so each loop has its own.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

_log = logging.getLogger(__name__)

T = TypeVar("T")

# An event loop holds its tasks by weak references only. A host may drop its application
# without a word; what the application opened is then closed by the end of the loop.
_running: set[asyncio.Task[None]] = set()


@dataclass(frozen=True, slots=True)
class _Owner(Generic[T]):
    task: asyncio.Task[None]
    ready: asyncio.Future[T]


class Owned(Generic[T]):
    """Opens once per event loop, on demand; `aclose` closes what this one has open."""

    def __init__(self, opens: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._opens = opens
        self._owners: dict[asyncio.AbstractEventLoop, _Owner[T]] = {}
        self._told: str | None = None  # the failure that the log has told of

    async def get(self) -> T:
        """Give it, opened by whoever asks first; the others wait for it.

        Cancelling one waiter leaves the start to the others.

        Raises:
            Exception: What opening it raised; whoever asks next tries again.
        """
        loop = asyncio.get_running_loop()
        owner = self._owners.get(loop)
        # No await between this look and the change below: that is the lock.
        if owner is None or owner.task.done():
            owner = self._start(loop)
        return await asyncio.shield(owner.ready)

    def start(self) -> None:
        """Open it for whoever asks later; the log tells if that fails."""
        owner = self._owners.get(asyncio.get_running_loop())
        if owner is None or owner.task.done():
            ready = self._start(asyncio.get_running_loop()).ready
            ready.add_done_callback(self._tell)

    async def aclose(self) -> None:
        """Close what is open in this event loop; it may be opened again."""
        owner = self._owners.pop(asyncio.get_running_loop(), None)
        if owner is not None:
            owner.task.cancel()
            await asyncio.wait([owner.task])

    def _tell(self, ready: asyncio.Future[T]) -> None:
        error = None if ready.cancelled() else ready.exception()
        if error and str(error) != self._told:  # each once
            _log.error("%s", error)
        self._told = str(error) if error else None

    def _start(self, loop: asyncio.AbstractEventLoop) -> _Owner[T]:
        for old in [old for old in self._owners if old.is_closed()]:
            del self._owners[old]
        ready: asyncio.Future[T] = loop.create_future()
        task = loop.create_task(self._own(ready))
        _running.add(task)
        task.add_done_callback(_running.discard)
        owner = _Owner(task, ready)
        self._owners[loop] = owner
        return owner

    async def _own(self, ready: asyncio.Future[T]) -> None:
        try:
            async with self._opens() as opened:
                ready.set_result(opened)
                await asyncio.Event().wait()  # until cancelled
        except Exception as error:
            if ready.done():
                _log.error("What was open broke: %s", error)
            else:
                ready.set_exception(error)
        finally:
            ready.cancel()  # does nothing if it has its result
