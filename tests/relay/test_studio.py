from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from offhook.archive.records import RecordingRecord
from offhook.protocol.entries import Entry
from offhook.relay.studio import Sides, Studio
from tests.media.calls import until
from tests.recorded import DOWN
from tests.recordings import events
from tests.studios import staged

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from offhook.archive.records import CallRecord
    from offhook.media.path import Tap

pytestmark = pytest.mark.anyio


class Side:
    """A side of a call, and who taps it."""

    def __init__(self) -> None:
        self.taps: list[Tap] = []

    def tap(self, tap: Tap) -> Callable[[], None]:
        self.taps.append(tap)
        return lambda: self.taps.remove(tap)


async def test_what_was_made_is_finished_and_kept(tmp_path: Path) -> None:
    said, heard = Side(), Side()
    async with staged(tmp_path) as stage:
        sides = Sides(said.tap, heard.tap)
        async with stage.studio.recording(stage.call, sides) as record:
            assert len(said.taps) == len(heard.taps) == 1
            [folder] = stage.spooled
            assert record
            assert folder.name == record.id
            stage.call.take({"type": "response.done", "response": {}})
        assert said.taps == heard.taps == []
        await until(lambda: stage.kept)
        await until(lambda: not stage.spooled)
        [kept] = await stage.records()
        assert (kept.state, sorted(kept.files)) == (
            "ready",
            ["caller.opus", "model.opus"],
        )


async def test_events_of_the_call_are_noted(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        sides = Sides(Side().tap, Side().tap)
        async with stage.studio.recording(stage.call, sides):
            stage.call.take({"type": "response.done", "response": {}})
            folder = stage.spooled[0]
            noted = folder / "events.jsonl"
            await until(lambda: noted.stat().st_size)
            assert events(folder)[0]["event"]["type"] == "response.done"
        stage.call.take({"type": "response.done", "response": {}})


class Down:
    """Keeps recordings, and cannot delete them now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, call: CallRecord, now: float) -> tuple[RecordingRecord, Path]:
        return RecordingRecord("rec_1", call.id, now), self._folder / "rec_1"

    async def finish(self, record: RecordingRecord) -> RecordingRecord:
        return record

    async def discard(self, record: RecordingRecord) -> None:
        raise DOWN

    async def abandon(self, record: RecordingRecord, why: str) -> None:
        pass


async def test_what_cannot_be_deleted_now_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[bool] = []
    async with staged(tmp_path) as stage:
        sides = Sides(Side().tap, Side().tap)
        async with (
            Studio(Down(tmp_path / "spool")) as studio,
            studio.recording(
                stage.call, sides, unwanted=lambda: True, discarded=told.append
            ),
        ):
            pass
    assert told == [False]
    assert "It is down." in caplog.text


async def test_what_is_unwanted_leaves_nothing(tmp_path: Path) -> None:
    told: list[bool] = []
    async with staged(tmp_path) as stage:
        sides = Sides(Side().tap, Side().tap)
        async with stage.studio.recording(
            stage.call,
            sides,
            unwanted=lambda: True,
            discarded=told.append,
        ):
            assert stage.spooled
        await until(lambda: told == [True])
        assert stage.spooled == stage.kept == []
        assert await stage.records() == []


async def test_what_is_unwanted_is_deleted_though_the_server_ends(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as stage:
        sides = Sides(Side().tap, Side().tap)

        async def record() -> None:
            async with stage.studio.recording(stage.call, sides, unwanted=lambda: True):
                await asyncio.Event().wait()

        recording = asyncio.create_task(record())
        await until(lambda: stage.spooled)
        recording.cancel()
        await asyncio.wait([recording])
    assert stage.spooled == stage.kept == []


async def test_a_disk_that_takes_no_recording_is_told_and_words_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("no folder")
    async with staged(tmp_path) as stage:
        side = Side()
        sides = Sides(side.tap, side.tap)
        stage.writer.told(stage.call.record, Entry("turn", "caller", 0, 1, "Hello."))
        async with stage.studio.recording(stage.call, sides) as record:
            assert record is None
            assert side.taps == []
        async with asyncio.timeout(5):
            # Nobody is told when it is done.
            while (await stage.records())[0].state != "failed":  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0)
        [failed] = await stage.records()
        assert "cannot begin" in str(failed.error)
        kinds = [entry.kind for entry in await stage.store.entries("rtc_1")]
        assert kinds == ["turn", "mark"]
    assert "is not recorded" in caplog.text


async def test_and_are_deleted_with_a_consent_that_is_withdrawn(
    tmp_path: Path,
) -> None:
    (tmp_path / "spool").write_text("no folder")
    told: list[bool] = []
    async with staged(tmp_path) as stage:
        sides = Sides(Side().tap, Side().tap)
        stage.writer.told(stage.call.record, Entry("turn", "caller", 0, 1, "Hello."))
        await stage.writer.flush(stage.store)
        assert await stage.store.entries("rtc_1")
        async with stage.studio.recording(
            stage.call,
            sides,
            unwanted=lambda: True,
            discarded=told.append,
        ):
            pass
        await until(lambda: told == [True])
        assert await stage.store.entries("rtc_1") == []
        assert await stage.records() == []
