from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import InvalidRequest
from offhook.protocol.consent import GIVE, WITHDRAW, Consent
from offhook.relay.recording import CallRecording
from offhook.relay.studio import Sides
from tests.media.calls import until
from tests.relay.test_studio import Side
from tests.studios import Stage, staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from offhook.protocol.consent import Record

pytestmark = pytest.mark.anyio

YES, NO = {"type": GIVE}, {"type": WITHDRAW}


class Told(list[dict[str, Any]]):
    """What a caller is told."""

    @property
    def kinds(self) -> list[str]:
        return [event["type"].rpartition(".")[2] for event in self]


@asynccontextmanager
async def recording(
    folder: Path, record: Record, *, given: bool, told: Told | None = None
) -> AsyncIterator[tuple[Stage, CallRecording]]:
    told = Told() if told is None else told
    async with staged(folder) as stage:
        consent = Consent(record, given=given)
        made = CallRecording(stage.studio, stage.call, consent, told.append)
        running = asyncio.create_task(made.run())
        try:
            yield stage, made
        finally:
            running.cancel()
            await asyncio.wait([running])


def sides() -> Sides:
    return Sides(Side().tap, Side().tap)


async def test_not_a_byte_is_written_before_the_consent(tmp_path: Path) -> None:
    told = Told()
    async with recording(tmp_path, "consent", given=False, told=told) as (stage, made):
        await made.attach(sides())
        assert stage.call.record.consent is None
        assert stage.spooled == []
        assert told == []
        made.take(YES)
        await until(lambda: told.kinds == ["started"])
        assert [folder.name for folder in stage.spooled] == [told[0]["recording_id"]]
        assert stage.call.record.consent is True


async def test_nor_before_there_is_audio(tmp_path: Path) -> None:
    told = Told()
    async with recording(tmp_path, "always", given=False, told=told) as (stage, made):
        await asyncio.sleep(0)
        assert stage.spooled == []
        await made.attach(sides())
        # Who plays an announcement now has it in the recording.
        assert told.kinds == ["started"]
        assert stage.spooled


async def test_what_is_withdrawn_is_deleted_and_may_begin_anew(tmp_path: Path) -> None:
    told = Told()
    async with recording(tmp_path, "consent", given=True, told=told) as (stage, made):
        await made.attach(sides())
        made.take(NO)
        await until(lambda: told.kinds == ["started", "stopped"])
        assert told[1] == {
            **told[1],
            "recording_id": told[0]["recording_id"],
            "deleted": True,
        }
        assert stage.spooled == stage.kept == []
        assert stage.call.record.consent is False
        made.take(YES)
        await until(lambda: told.kinds[-1] == "started")
        assert told[2]["recording_id"] != told[0]["recording_id"]
        with pytest.raises(InvalidRequest):
            made.take({"type": "offhook.recording.other"})


async def test_what_is_withdrawn_goes_though_it_is_given_again_at_once(
    tmp_path: Path,
) -> None:
    told = Told()
    async with recording(tmp_path, "consent", given=True, told=told) as (stage, made):
        await made.attach(sides())
        made.take(NO)
        made.take(YES)
        await until(lambda: sorted(told.kinds) == ["started", "started", "stopped"])
        [stopped] = [e for e in told if e["type"].endswith("stopped")]
        assert (stopped["recording_id"], stopped["deleted"]) == (
            told[0]["recording_id"],
            True,
        )
        [folder] = stage.spooled
        assert folder.name != told[0]["recording_id"]


async def test_a_call_that_ends_leaves_its_recording(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        consent = Consent("required", given=True)
        made = CallRecording(stage.studio, stage.call, consent, Told().append)
        running = asyncio.create_task(made.run())
        await made.attach(sides())
        running.cancel()
        await asyncio.wait([running])
        await until(lambda: stage.kept and not stage.spooled)
        [record] = await stage.records()
        assert record.state == "ready"


async def test_a_recording_that_fails_leaves_the_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("no folder")
    told = Told()
    async with recording(tmp_path, "consent", given=True, told=told) as (stage, made):
        await made.attach(sides())
        assert told == []
        assert "is not recorded" in caplog.text
        assert stage.witness.marks("recording.failed")
        made.take(NO)
