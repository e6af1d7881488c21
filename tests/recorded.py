"""Recordings whose sound is any bytes: for tests of what becomes of files."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from offhook.archive.recordings import Recordings
from offhook.archive.records import CallRecord, RecordingRecord
from offhook.archive.storage import Storage
from offhook.archive.store import Store
from offhook.archive.writer import Writer
from offhook.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from offhook.archive.recordings import Master

KEEP_SECONDS = 1000.0
SOUND = bytes(range(256)) * 40
CALL = CallRecord("rtc_1", "support", "bridged", 100.0, ended=160.0)


@dataclass
class Masters:
    """Masters by keeping what is there, or fails."""

    fails: Exception | None = None
    mastered: int = 0

    async def __call__(
        self, folder: Path, progress: Callable[[float], None]
    ) -> tuple[float, list[Path]]:
        progress(0.5)
        self.mastered += 1
        if self.fails:
            raise self.fails
        files = [folder / "call.opus", folder / "transcript.txt"]
        files[1].write_text("Hello.")
        return 60.0, files


@dataclass
class Kept:
    """One process's part in what is kept, without a relay."""

    store: Store
    writer: Writer
    recordings: Recordings
    masters: Masters
    data: Path

    def write(self, folder: Path, call_id: str = "rtc_1") -> None:
        """Do what a recorder does."""
        folder.mkdir(mode=0o700, parents=True)
        (folder / "call.opus").write_bytes(SOUND)
        about = {"began": 100.0, "call": {"id": call_id}}
        (folder / "recording.json").write_text(json.dumps(about))

    async def record(
        self, call: CallRecord = CALL, now: float = 100.0
    ) -> RecordingRecord:
        """Keep a call and a finished recording of it."""
        self.writer.began(call)
        record, folder = self.recordings.begin(call, now)
        self.write(folder, call.id)
        record = await self.recordings.finish(record)
        await self.writer.flush(self.store)
        return record

    def names(self) -> list[str]:
        """Every file and folder of recordings."""
        kept = [*self.data.glob("spool/**/*"), *self.data.glob("recordings/**/*")]
        return sorted(path.relative_to(self.data).as_posix() for path in kept)


@asynccontextmanager
async def keeping(
    data: Path, url: str | None = None, master: Master | None = None
) -> AsyncIterator[Kept]:
    """Open what is kept in a folder, as a process does."""
    async with Store.open(f"sqlite:///{data / 'calls.db'}") as store:
        writer, masters = Writer(), Masters()
        storage = Storage.at(url or str(data / "recordings"))

        async def opened() -> Store:
            return store

        recordings = Recordings(
            opened, writer, storage, data / "spool", master or masters, KEEP_SECONDS
        )
        yield Kept(store, writer, recordings, masters, data)


DOWN = ServerError("It is down.", code="store_unavailable", status=503)
