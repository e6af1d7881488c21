"""Tasks that belong to a context."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextlib import AsyncExitStack


def beside(stack: AsyncExitStack, work: Coroutine[object, object, None]) -> None:
    """Run something until the stack is left."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    stack.push_async_callback(end)
