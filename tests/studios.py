"""A studio with a store and a storage behind it, all in one folder."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from offhook.archive.recordings import Recordings
from offhook.archive.records import CallRecord, RecordingRecord
from offhook.archive.storage import Storage
from offhook.archive.store import Store
from offhook.archive.writer import Writer
from offhook.media.spool import TRACKS
from offhook.relay.calls import Calls
from offhook.relay.studio import Studio
from tests.witness import Witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from offhook.relay.calls import LiveCall


@dataclass
class Stage:
    """What a test of recordings works with."""

    folder: Path
    studio: Studio
    store: Store
    writer: Writer
    witness: Witness
    call: LiveCall

    @property
    def spooled(self) -> list[Path]:
        """The folders in which recordings are made."""
        spool = self.folder / "spool"
        return sorted(spool.iterdir()) if spool.is_dir() else []

    @property
    def kept(self) -> list[Path]:
        """The folders of finished ones."""
        kept = self.folder / "kept"
        return sorted(kept.iterdir()) if kept.is_dir() else []

    async def records(self) -> list[RecordingRecord]:
        """What the store knows of the call's recordings."""
        await self.writer.flush(self.store)
        call = await self.store.call(self.call.record.id)
        return [await self.store.recording(call.recording)] if call.recording else []


async def _tracks(
    folder: Path, progress: Callable[[float], None]
) -> tuple[float, list[Path]]:
    """Keep the tracks as they are."""
    progress(0.5)
    return 1.0, [folder / name for name in TRACKS]


async def _hang_up() -> None:
    pass


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """Give a studio, and a call that may be recorded in it."""
    url = f"sqlite:///{folder / 'calls.db'}"
    witness, writer = Witness(), Writer()
    async with Store.open(url) as store:

        async def opened() -> Store:
            return store

        storage = Storage.at(str(folder / "kept"))
        spool = folder / "spool"
        kept = Recordings(opened, writer, storage, spool, _tracks, 3600)
        record = CallRecord("rtc_1", "support", "bridged", 100.0)
        call = Calls([witness, writer]).begin(record, "grant", _hang_up)
        async with Studio(kept) as studio:
            yield Stage(folder, studio, store, writer, witness, call)
