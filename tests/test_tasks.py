from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from offhook.tasks import beside

pytestmark = pytest.mark.anyio


async def test_what_runs_beside_ends_with_the_stack() -> None:
    told: list[str] = []

    async def work() -> None:
        try:
            told.append("begun")
            await asyncio.Event().wait()
        finally:
            told.append("ended")

    async with AsyncExitStack() as stack:
        beside(stack, work())
        await asyncio.sleep(0)
        assert told == ["begun"]
    assert told == ["begun", "ended"]


async def test_what_has_ended_by_itself_is_no_trouble() -> None:
    async def work() -> None:
        pass

    async with AsyncExitStack() as stack:
        beside(stack, work())
        await asyncio.sleep(0)


async def test_what_fails_beside_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        raise LookupError("mine")

    async with AsyncExitStack() as stack:
        beside(stack, work())
        await asyncio.sleep(0)
    assert "LookupError: mine" in caplog.text
