from __future__ import annotations

import asyncio

import pytest

from offhook.agent import tasks
from offhook.agent.tasks import Tasks

pytestmark = pytest.mark.anyio


async def test_what_fails_is_told() -> None:
    failures: list[Exception] = []

    async def broken() -> None:
        raise ValueError("broken")

    running = Tasks(failures.append)
    await asyncio.wait([running.start(broken())])
    assert [str(failure) for failure in failures] == ["broken"]


async def test_who_stops_the_others_goes_on() -> None:
    failures: list[Exception] = []
    ended: list[str] = []
    running = Tasks(failures.append)

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")

    async def stopping() -> None:
        await running.stop()
        ended.append("stopping")

    running.start(endless())
    async with asyncio.timeout(20):
        await running.start(stopping())
    assert ended == ["endless", "stopping"]
    assert failures == []


async def test_who_does_not_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks, "_GRACE_SECONDS", 0.01)
    running, begun, enough = Tasks(print), asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await enough.wait()

    task = running.start(stubborn())
    await begun.wait()
    await running.stop()
    assert "do not end" in caplog.text
    enough.set()
    await task
