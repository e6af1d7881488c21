from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from offhook.errors import OffhookError
from offhook.media.disk import Disk
from offhook.media.recorder import Recorder
from offhook.relay.masters import master
from tests.extras import without

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_what_was_recorded_is_made_into_what_people_want(tmp_path: Path) -> None:
    folder, told = tmp_path / "rec_1", list[float]()
    async with Disk() as disk, Recorder(folder, disk, formats=["wav"]) as recorder:
        recorder.note("model", {"type": "session.created"})
    seconds, files = await master(folder, told.append)
    assert 0 <= seconds < 1
    names = {file.name for file in files}
    assert {"call.opus", "call.wav", "caller.opus", "transcript.txt"} <= names
    assert all(file.parent == folder for file in files)
    assert told[-1] == 1


async def test_what_is_no_recording_is_told(tmp_path: Path) -> None:
    with pytest.raises(OffhookError):
        await master(tmp_path, lambda _: None)


def test_what_is_missing_is_named() -> None:
    run = without("av", "import asyncio, offhook.relay.masters as masters")
    said = run("asyncio.run(masters.master(None, print))")
    assert "pip install 'offhook[media]'" in said
