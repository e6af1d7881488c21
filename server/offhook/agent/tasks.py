"""The tasks of one connection."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_log = logging.getLogger(__name__)

# How long the program's own functions have to end when they are cancelled.
_GRACE_SECONDS = 1.0


class Tasks:
    """Work that ends with a connection, at the latest.

    As many as the model calls tools, and guardrails have to check.

    Args:
        failed: Is told of what a task raises.
    """

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it beside the others."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def stop(self) -> None:
        """Cancel what runs, and wait for it; a task that calls this goes on."""
        running = self._running - {asyncio.current_task()}
        for task in running:
            task.cancel()
        if running:
            _, late = await asyncio.wait(running, timeout=_GRACE_SECONDS)
            if late:
                _log.warning("%d tools or guardrails do not end", len(late))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._failed(error)
