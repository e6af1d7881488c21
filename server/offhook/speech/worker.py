"""A thread for one model: the event loop never waits for its computing."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from offhook.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Worker:
    """One thread that works in order, and refuses more than it can hold.

    Args:
        name: Ends up in the thread's name.
        limit: How much work may wait; more is refused, so that a flood of calls
            meets an error and not a delay that nobody would wait for.
    """

    def __init__(self, name: str, limit: int = 64) -> None:
        self._limit = limit
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"offhook-{name}")

    @property
    def busy(self) -> bool:
        """Whether it has anything to do now."""
        return self._waiting > 0

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do one piece of work in the thread.

        Cancelling withdraws work that has not begun; what has begun goes on to its
        end, for a model cannot be interrupted, and nobody gets its result.

        Raises:
            ServerError: Too much work is waiting already.
        """
        if self._waiting >= self._limit:
            raise ServerError("The server is too busy.", code="server_busy", status=503)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

    def post(self, work: Callable[[], None]) -> None:
        """Do this after all that waits, and do not tell; nothing if closed."""
        with suppress(RuntimeError):  # what a closed executor raises
            self._thread.submit(work)

    async def close(self) -> None:
        """Withdraw what waits, and join the thread."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
