"""Several things at once, of which the first to end decides."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


async def first(**parts: Coroutine[Any, Any, object]) -> str:
    """Run these until one ends, cancel the others, and return the name of that one.

    Raises:
        Exception: What one of them raised.
    """
    tasks = {name: asyncio.create_task(part) for name, part in parts.items()}
    try:
        await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        [ended, *_] = [name for name, task in tasks.items() if task.done()]
    finally:
        for task in tasks.values():
            task.cancel()
        ends = await asyncio.gather(*tasks.values(), return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end
    return ended


async def after(seconds: float | None) -> None:
    """Return after so many seconds; None is never."""
    if seconds is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(seconds)


async def until(unix: float) -> None:
    """Return at a time of the clock."""
    await asyncio.sleep(unix - time.time())
