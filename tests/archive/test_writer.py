from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import aiosqlite
import pytest

from offhook.archive.records import CallRecord, RecordingRecord
from offhook.archive.store import Store
from offhook.archive.writer import Writer
from offhook.errors import ServerError
from offhook.protocol.entries import Entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

CALL = CallRecord("rtc_1", "support", "direct", 100.0)
RECORDING = RecordingRecord("rec_1", "rtc_1", 100.0)


def turn(number: int) -> Entry:
    return Entry("turn", "caller", number, number, f"turn {number}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "calls.db"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[Store]:
    async with Store.open(f"sqlite:///{file}") as store:
        yield store


async def test_what_is_told_of_a_call_is_kept(store: Store) -> None:
    writer = Writer()
    assert not writer.waits
    writer.began(CALL)
    writer.told(replace(CALL, turns=1), turn(1))
    writer.measured(replace(CALL, turns=1, statistics={"lost": 1}), {"lost": 1})
    writer.recorded(RECORDING)
    assert writer.waits
    await writer.flush(store)

    assert not writer.waits
    kept = await store.call("rtc_1")
    assert kept == replace(CALL, turns=1, statistics={"lost": 1}, recording="rec_1")
    writer.told(replace(CALL, turns=2), turn(2))
    ended = replace(CALL, turns=2, ended=110.0)
    writer.ended(ended)
    writer.recorded(replace(RECORDING, state="ready"))
    await writer.flush(store)
    assert await store.call("rtc_1") == replace(ended, recording="rec_1")
    assert await store.entries("rtc_1") == [turn(1), turn(2)]
    assert (await store.recording("rec_1")).state == "ready"


async def test_more_than_one_batch_is_kept_in_order(store: Store) -> None:
    writer = Writer()
    said = [turn(number) for number in range(2500)]
    for entry in said:
        writer.told(CALL, entry)
    await asyncio.gather(writer.flush(store), writer.flush(store))
    assert await store.entries("rtc_1") == said


async def test_what_may_not_be_kept_is_not(store: Store) -> None:
    writer = Writer(hushed=lambda call: not call.consent)
    writer.told(CALL, turn(1))
    writer.told(replace(CALL, consent=True), turn(2))
    await writer.flush(store)
    assert await store.entries("rtc_1") == [turn(2)]

    writer.told(replace(CALL, consent=True), turn(3))
    writer.forget("rtc_1")
    await writer.flush(store)
    assert await store.entries("rtc_1") == [turn(2)]


async def test_what_cannot_be_written_waits(store: Store, file: Path) -> None:
    writer = Writer()
    writer.told(CALL, turn(1))
    async with aiosqlite.connect(file) as other:
        await other.execute("ALTER TABLE calls RENAME TO away")
        with pytest.raises(ServerError) as caught:
            await writer.flush(store)
        assert caught.value.code == "store_unavailable"
        writer.told(replace(CALL, turns=2), turn(2))
        await other.execute("ALTER TABLE away RENAME TO calls")

    await writer.flush(store)
    assert await store.call("rtc_1") == replace(CALL, turns=2)
    assert await store.entries("rtc_1") == [turn(1), turn(2)]


async def test_what_no_database_takes_harms_nothing_else(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Writer()
    writer.began(replace(CALL, agent=cast("Any", None)))
    writer.began(replace(CALL, id="rtc_2"))
    writer.told(replace(CALL, id="rtc_2"), turn(1))
    writer.told(
        replace(CALL, id="rtc_2"), Entry("turn", "caller", 0, 0, "", {"x": {1}})
    )
    writer.recorded(RECORDING)
    await writer.flush(store)

    assert await store.entries("rtc_2") == [turn(1)]
    assert await store.recording("rec_1") == RECORDING
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert told == ["Not kept: IntegrityError", "Not kept: StatementError"]


async def test_what_waits_is_bounded(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Writer(most=10)
    for number in range(20):
        writer.told(CALL, turn(number))
        writer.began(replace(CALL, id=f"rtc_1{number}"))
    assert len(caplog.records) == 1  # told once
    # A call that waits already is kept as it is now.
    writer.ended(replace(CALL, ended=110.0))
    await writer.flush(store)
    assert await store.entries("rtc_1") == [turn(number) for number in range(10)]
    assert (await store.call("rtc_1")).ended == 110.0
