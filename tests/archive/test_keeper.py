from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from offhook.archive.keeper import Keeper
from offhook.errors import NotFound
from tests.recorded import CALL, DOWN, Kept, keeping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from offhook.archive.records import RecordingRecord
    from offhook.archive.store import Store

pytestmark = pytest.mark.anyio


class Opening:
    """Opens the store of what is kept, or says that it is down."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.down = False
        self.asked = asyncio.Event()

    async def __call__(self) -> Store:
        self.asked.set()
        if self.down:
            raise DOWN
        return self.kept.store

    def keeper(self, *, exists: bool = True) -> Keeper:
        kept = self.kept
        return Keeper(self, lambda: exists, kept.writer, kept.recordings)


@pytest.fixture
async def opening(tmp_path: Path) -> AsyncIterator[Opening]:
    async with keeping(tmp_path / "data") as kept:
        yield Opening(kept)


async def test_what_waits_is_written_at_the_end_at_the_latest(opening: Opening) -> None:
    async with opening.keeper().running():
        opening.kept.writer.began(CALL)
    assert await opening.kept.store.call("rtc_1") == CALL


async def test_what_waits_is_written_soon(opening: Opening) -> None:
    async with asyncio.timeout(10), opening.keeper(exists=False).running():
        assert not opening.asked.is_set()
        opening.kept.writer.began(CALL)
        await opening.asked.wait()


async def test_where_nothing_is_kept_yet_nothing_is_made(opening: Opening) -> None:
    async with opening.keeper(exists=False).running():
        await asyncio.sleep(0)
    assert not opening.asked.is_set()


async def test_a_store_that_is_down_is_told_once_and_loses_nothing(
    opening: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    opening.down = True
    async with asyncio.timeout(10), opening.keeper().running():
        opening.kept.writer.began(CALL)
        for _ in range(2):
            opening.asked.clear()
            await opening.asked.wait()
        opening.down = False
    assert await opening.kept.store.call("rtc_1") == CALL
    errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == len(set(errors)) <= 2
    assert any("calls go on" in error for error in errors)


async def test_it_finishes_what_was_left_and_deletes_what_is_over(
    opening: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    kept, now = opening.kept, time.time()
    old = await kept.record(now=100.0)
    async with keeping(kept.data) as dead:
        call = replace(CALL, id="rtc_2", began=now, ended=None)
        dead.writer.began(call)
        record, folder = dead.recordings.begin(call, now)
        dead.write(folder, "rtc_2")
        await dead.writer.flush(dead.store)

    async with asyncio.timeout(10), opening.keeper().running():
        # Nobody is told when it is done.
        while [await state(kept, r) for r in (old, record)] != [  # noqa: ASYNC110  # see above
            "none",
            "ready",
        ]:
            await asyncio.sleep(0.01)
    assert (await kept.store.call("rtc_2")).reason == "server_lost"
    assert "1 calls were open" in caplog.text


async def state(kept: Kept, record: RecordingRecord) -> str:
    try:
        return (await kept.recordings.find(record.id)).state
    except NotFound:
        return "none"


async def test_a_folder_that_nobody_may_write_to_ends_nothing(
    opening: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    kept, call = opening.kept, replace(CALL, began=time.time(), ended=None)
    async with keeping(kept.data) as dead:
        dead.writer.began(call)
        _, folder = dead.recordings.begin(call, call.began)
        dead.write(folder)
        # Its mark cannot be made.
        (folder / "known").symlink_to(folder / "no" / "where")
        await dead.writer.flush(dead.store)
    async with asyncio.timeout(10), opening.keeper().running():
        while "recordings wait" not in caplog.text:  # noqa: ASYNC110  # a log tells nobody
            await asyncio.sleep(0.01)
        kept.writer.began(replace(call, id="rtc_3"))
        while kept.writer.waits:  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.01)
    assert (await kept.store.call("rtc_3")).id == "rtc_3"
