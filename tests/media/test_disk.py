from __future__ import annotations

import asyncio
import threading

import pytest

from offhook.errors import ServerError
from offhook.media import disk as module
from offhook.media.disk import Disk

pytestmark = pytest.mark.anyio


async def test_work_is_done_in_order_by_a_thread() -> None:
    done: list[int] = []
    async with Disk() as disk:
        for number in range(3):
            assert disk.post(lambda number=number: done.append(number), 10)  # type: ignore[misc]  # a default
        thread = await disk.run(threading.current_thread)
        assert done == [0, 1, 2]
    assert thread is not threading.current_thread()


async def test_leaving_waits_for_what_was_given() -> None:
    done = threading.Event()
    async with Disk() as disk:
        disk.post(done.set, 10)
    assert done.is_set()


async def test_what_fails_is_raised_where_it_was_asked_for() -> None:
    async with Disk() as disk:
        with pytest.raises(FileNotFoundError):
            await disk.run(lambda: open("/nowhere/to/be/found"))
        assert await disk.run(lambda: 7) == 7


async def test_what_fails_unseen_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with Disk() as disk:
        disk.post(lambda: 1 // 0, 1)
        assert await disk.run(lambda: 7) == 7
    assert "could not be written" in caplog.text


async def test_more_than_it_holds_is_refused() -> None:
    held = threading.Event()
    async with Disk(most_bytes=100) as disk:
        assert disk.post(lambda: held.wait(10), 60)
        assert disk.post(int, 60)
        assert not disk.post(int, 1)
        held.set()
        await disk.run(int)
        assert disk.post(int, 1)


async def test_a_disk_that_hangs_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_CLOSE_SECONDS", 0.05)
    held = threading.Event()
    async with Disk() as disk:
        disk.post(lambda: held.wait(10), 1)
        with pytest.raises(ServerError, match="hangs"):
            await disk.run(int)
    assert "hangs" in caplog.text
    held.set()


async def test_what_is_cancelled_is_done_all_the_same() -> None:
    held, done = threading.Event(), threading.Event()
    async with Disk() as disk:
        disk.post(lambda: held.wait(10), 1)
        waiting = asyncio.create_task(disk.run(done.set))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        held.set()
    assert done.is_set()
