"""The thread that writes all recordings: no event loop ever waits for a disk."""

from __future__ import annotations

import asyncio
import logging
import threading
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Self, TypeVar

from offhook.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# What may wait while the disk is slow: both sides of 100 calls for half a minute.
_MOST_BYTES = 32 * 2**20
# A disk that hangs is not waited for any longer: the thread is left behind.
_CLOSE_SECONDS = 10.0


class Disk:
    """One thread that does what it is given in order.

    Use as `async with Disk() as disk`, once in a process; leaving waits for what was
    given. Not for several event loops at once.

    Args:
        most_bytes: How much may wait; more is refused.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        # Each is counted by one thread only: the first by the loop's, the second by
        # ours.
        self._given = self._done = 0
        self._queue: SimpleQueue[tuple[Callable[[], object], int] | None] = (
            SimpleQueue()
        )
        # A daemon, so that a disk that hangs does not keep the process.
        self._thread = threading.Thread(
            target=self._work, name="offhook-disk", daemon=True
        )

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.run(lambda: None)
        except TimeoutError:
            _log.error("the disk hangs: what it has not written is lost")
        finally:
            self._queue.put(None)

    def post(self, work: Callable[[], object], size: int) -> bool:
        """Do something after all that waits, and do not tell.

        Args:
            work: It.
            size: How much memory it keeps until then, in bytes.

        Returns:
            Whether it will be done: not where too much waits already.
        """
        if self._given - self._done > self._most:
            return False
        self._given += size
        self._queue.put((work, size))
        return True

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do something after all that waits, and return what it gives.

        When this is cancelled, it is done all the same, and nobody gets the result.

        Raises:
            ServerError: The disk has not come to it within 10 s; it may yet.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_T] = loop.create_future()

        def do() -> None:
            try:
                tell = partial(_succeed, done, work())
            except BaseException as error:  # it is raised where it was asked for
                tell = partial(_fail, done, error)
            loop.call_soon_threadsafe(tell)

        self._queue.put((do, 0))
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                return await done
        except TimeoutError:
            raise ServerError("The disk hangs: see what holds it up.") from None

    def _work(self) -> None:
        while (given := self._queue.get()) is not None:
            work, size = given
            try:
                work()
            except Exception:
                _log.exception("a recording could not be written")
            self._done += size
            del work, given  # nothing is kept while we wait


def _succeed(done: asyncio.Future[_T], result: _T) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[_T], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
