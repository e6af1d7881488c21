"""Tasks that belong to a context."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextlib import AsyncExitStack

_log = logging.getLogger(__name__)


def beside(stack: AsyncExitStack, work: Coroutine[object, object, None]) -> None:
    """Run something until the stack is left; the log tells of what it raises."""
    task = asyncio.create_task(work)
    task.add_done_callback(_log_failure)

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    stack.push_async_callback(end)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.error("a task beside another failed", exc_info=error)
