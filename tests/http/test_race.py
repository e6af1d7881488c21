from __future__ import annotations

import asyncio
import time

import pytest

from offhook.http.race import after, first, until

pytestmark = pytest.mark.anyio


async def test_the_first_to_end_is_named_and_the_others_are_cancelled() -> None:
    left = asyncio.Event()

    async def forever() -> None:
        try:
            await after(None)
        finally:
            left.set()

    assert await first(long=forever(), short=after(0)) == "short"
    assert left.is_set()


async def test_what_one_raises_is_raised() -> None:
    async def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await first(bad=fail(), long=after(None))


async def test_cancelling_a_race_cancels_all_of_it() -> None:
    left: list[str] = []

    async def forever(name: str) -> None:
        try:
            await after(None)
        finally:
            left.append(name)

    race = asyncio.create_task(first(a=forever("a"), b=forever("b"), c=after(None)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await race
    assert left == ["a", "b"]


async def test_a_time_of_the_clock_is_awaited() -> None:
    deadline = time.time() + 0.02
    await until(deadline)
    assert time.time() >= deadline - 0.001
    await until(0)
