"""Keeps the store and the recordings in order while the relay runs."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from offhook.archive.store import BEAT_SECONDS
from offhook.errors import OffhookError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from offhook.archive.recordings import Recordings
    from offhook.archive.store import Store
    from offhook.archive.writer import Writer

_log = logging.getLogger(__name__)

# What happened in a call waits so long for what else happens; a transaction each would
# cost more than the call.
_WRITE_SECONDS = 0.5
_MOST_SECONDS = 30.0  # between two tries where the store is down
_LAST_SECONDS = 5.0  # for what waits when the relay ends


class Keeper:
    """Writes what waits, says that this process lives, finishes, and deletes in time.

    Args:
        store: Opens the store, or gives it.
        exists: Whether there is a store; before, nobody but a call makes it.
        writer: What waits to be written.
        recordings: What is to be finished and deleted.
    """

    def __init__(
        self,
        store: Callable[[], Awaitable[Store]],
        exists: Callable[[], bool],
        writer: Writer,
        recordings: Recordings,
    ) -> None:
        self._store = store
        self._exists = exists
        self._writer = writer
        self._recordings = recordings
        self._down: set[str] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Keeper]:
        """Do so until the block ends; what waits then is written, if it can be soon."""
        ending = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self._write(ending))
            # Apart from each other: mastering an hour takes longer than a beat may.
            repeated = [
                tasks.create_task(self._repeat(what, work))
                for what, work in (
                    ("beats", self.beat),
                    ("deletions", self._recordings.expire),
                    ("recordings", self._recordings.recover),
                )
            ]
            try:
                yield self
            finally:
                for task in repeated:
                    task.cancel()
                ending.set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_SECONDS):
                        await writing

    async def beat(self, now: float) -> None:
        """Say that this process lives, and close what dead ones left open.

        Raises:
            ServerError: The store cannot be reached.
        """
        if lost := await (await self._store()).beat(now):
            _log.warning("%d calls were open when their server died", lost)

    async def _write(self, ending: asyncio.Event) -> None:
        pause = _WRITE_SECONDS
        over = False
        while not over:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    over = await ending.wait()
            written = await self._tell("calls", self._flush())
            pause = _WRITE_SECONDS if written else min(2 * pause, _MOST_SECONDS)

    async def _flush(self) -> None:
        if self._writer.waits:
            await self._writer.flush(await self._store())

    async def _repeat(
        self, what: str, work: Callable[[float], Coroutine[Any, Any, None]]
    ) -> None:
        while True:
            if self._exists():
                await self._tell(what, work(time.time()))
            await asyncio.sleep(BEAT_SECONDS)

    async def _tell(self, what: str, work: Awaitable[None]) -> bool:
        """Tell the operator once of what fails, and once when it does no more."""
        try:
            await work
        except Exception as error:
            # Whatever it is: nobody else does what the others do.
            known = isinstance(error, OffhookError | OSError)
            if what not in self._down:
                said = "The %s wait, calls go on. %s"
                _log.error(said, what, error, exc_info=not known)
            self._down.add(what)
            return False
        if what in self._down:
            _log.info("The %s wait no more", what)
        self._down.discard(what)
        return True
