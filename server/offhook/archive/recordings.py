"""Recordings from their first byte to their last: made, finished, kept, deleted.

While a call lasts its recording is in the spool, a folder on this machine. After the
call it is mastered there, put into the storage, and only then taken out of the spool.
What fails on the way stays in the spool and is tried again; what a dead process left
there, whoever shares the folder finishes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from offhook.archive.records import RecordingRecord, StoredFile, recording_id
from offhook.errors import InvalidRequest, NotFound, OffhookError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from offhook.archive.records import CallRecord
    from offhook.archive.storage import Storage
    from offhook.archive.store import Store
    from offhook.archive.writer import Writer

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 600.0
_UNTOLD_SECONDS = 60.0
# Marks a recording in the spool that the store has heard of.
_KNOWN = "known"

MEDIA_TYPES = {
    ".flac": "audio/flac",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".opus": "audio/ogg",
    ".txt": "text/plain; charset=utf-8",
    ".vtt": "text/vtt; charset=utf-8",
    ".wav": "audio/wav",
}


class Master(Protocol):
    """Makes the files of a recording from what is in its folder of the spool."""

    async def __call__(
        self, folder: Path, progress: Callable[[float], None]
    ) -> tuple[float, list[Path]]:
        """Return how many seconds it lasts, and the files to keep.

        Args:
            folder: Of one recording, complete or as a dead process left it.
            progress: Told now and then how much is done, 0 to 1.

        Raises:
            OffhookError: There is nothing in it to make a recording of.
            OSError: The disk is full, or broken.
        """


class Recordings:
    """All recordings that this process makes or looks after.

    Args:
        store: Gives the open store.
        writer: Keeps what becomes of them, when the store is down too.
        storage: Where they are in the end.
        spool: Where they are made; processes of one machine may share it.
        master: Makes the files.
        keep_seconds: How long they are kept.
    """

    def __init__(
        self,
        store: Callable[[], Awaitable[Store]],
        writer: Writer,
        storage: Storage,
        spool: Path,
        master: Master,
        keep_seconds: float,
    ) -> None:
        self._store = store
        self._writer = writer
        self._storage = storage
        self._spool = spool
        self._master = master
        self._keep_seconds = keep_seconds
        self._here: set[str] = set()  # that this process makes or finishes
        self._tried: dict[str, float] = {}  # when it last failed here
        self._scrubbed = True
        # Mastering takes a whole core: one at a time.
        self._turn = asyncio.Lock()

    async def find(self, recording_id: str) -> RecordingRecord:
        """Return what is known of a recording.

        Raises:
            NotFound: There is none of this id.
        """
        return await (await self._store()).recording(recording_id)

    def read(
        self, record: RecordingRecord, name: str, begin: int, end: int
    ) -> AsyncGenerator[bytes, None]:
        """Give the bytes of a file from `begin` up to `end`, piece by piece.

        Raises:
            ServerError: The storage cannot be reached.
        """
        return self._storage.read(record.id, name, begin, end)

    # Making

    def begin(self, call: CallRecord, now: float) -> tuple[RecordingRecord, Path]:
        """Begin a recording: give its record, and where to make it.

        The folder is the recorder's to make.
        """
        expires = now + self._keep_seconds
        record = RecordingRecord(recording_id(), call.id, now, expires=expires)
        self._here.add(record.id)
        self._writer.recorded(record)
        return record, self._spool / record.id

    async def finish(self, record: RecordingRecord) -> RecordingRecord:
        """Master a recording that was made, and store it.

        Cancelled, it is as if the process had died: it is finished another time.

        Returns:
            The recording, `ready` or `failed`.
        """
        self._here.add(record.id)
        try:
            record = await self._finish(record)
        except (OffhookError, OSError) as error:
            message = error.strerror if isinstance(error, OSError) else str(error)
            record = replace(record, state="failed", error=message or str(error))
            if record.id not in self._tried:
                _log.error("Recording %s waits: %s", record.id, record.error)
            if getattr(error, "code", None) != "store_unavailable":
                # Whoever tries again asks the store first, so that may be soon.
                self._tried[record.id] = time.monotonic()
            self._writer.recorded(record)
        finally:
            self._here.discard(record.id)
        return record

    async def _finish(self, record: RecordingRecord) -> RecordingRecord:
        def progress(done: float) -> None:
            self._writer.recorded(replace(record, progress=done))

        record = replace(record, state="mastering", progress=0.0, error=None)
        self._writer.recorded(record)
        folder = self._spool / record.id
        async with self._turn:
            seconds, files = await self._master(folder, progress)
        await self._storage.put(record.id, files)
        stored = {
            file.name: StoredFile(file.stat().st_size, MEDIA_TYPES[file.suffix])
            for file in files
        }
        record = replace(
            record, state="ready", progress=1.0, seconds=seconds, files=stored
        )
        self._writer.recorded(record)
        # It leaves the spool only when both know of it: the storage and the store.
        await self._writer.flush(await self._store())
        await self._unspool(record.id)
        self._tried.pop(record.id, None)
        return record

    async def recover(self, now: float) -> None:
        """Finish what is in the spool and nobody works on.

        Raises:
            ServerError: The store cannot be reached.
            OSError: Of one of them, when the others are seen to.
        """
        failed: OSError | None = None
        for folder in await asyncio.to_thread(self._spooled):
            try:
                await self._see_to(folder, now)
            except OSError as error:
                # Whoever works on it may have taken it away meanwhile.
                failed = error if folder.exists() else failed
        if failed:
            raise failed

    async def _see_to(self, folder: Path, now: float) -> None:
        store = await self._store()
        try:
            record = await store.recording(folder.name)
        except NotFound:
            if folder.name not in self._here:
                await self._adopt(folder, now)
            return
        # Where the store does not know it any more, somebody has deleted it.
        await asyncio.to_thread((folder / _KNOWN).touch, 0o600)
        last = self._tried.get(folder.name, -_RETRY_SECONDS)
        if folder.name in self._here or time.monotonic() - last < _RETRY_SECONDS:
            return
        if record.state in ("ready", "deleted"):
            await self._unspool(folder.name)
        elif await store.claim(record.id):
            await self.finish(record)

    async def _adopt(self, folder: Path, now: float) -> None:
        """See to what the store does not know: it was deleted, or never told."""
        written = await asyncio.to_thread(_written, folder)
        if (folder / _KNOWN).exists() or written < now - self._keep_seconds:
            await self._unspool(folder.name)
        elif written > now - _UNTOLD_SECONDS:
            pass  # its process may live, and be about to tell
        elif record := await asyncio.to_thread(_untold, folder):
            expires = record.began + self._keep_seconds
            await (await self._store()).adopt(replace(record, expires=expires))

    def _spooled(self) -> list[Path]:
        if not self._spool.is_dir():
            return []
        return sorted(path for path in self._spool.glob("rec_*") if path.is_dir())

    # Deleting

    async def discard(self, record: RecordingRecord) -> None:
        """Delete a recording that this process makes, and has stopped making."""
        deleted = replace(record, state="deleted", files={})
        self._writer.forget(record.call)
        self._writer.recorded(deleted)
        # Before anything else, and whether or not the store can be reached.
        await self._unspool(record.id)
        self._here.discard(record.id)
        await self._writer.flush(await self._store())
        await self._delete(deleted)

    async def abandon(self, record: RecordingRecord, why: str) -> None:
        """Give up a recording that could not begin; what was said is kept."""
        self._writer.recorded(replace(record, state="failed", error=why))
        await self._unspool(record.id)
        self._here.discard(record.id)

    async def delete(self, recording_id: str) -> None:
        """Delete a recording, and what was said in its call.

        Raises:
            NotFound: There is none of this id.
            InvalidRequest: It is being made.
            ServerError: The storage cannot be reached; it is tried again.
        """
        store = await self._store()
        record = await store.recording(recording_id)
        over = record.state in ("ready", "deleted")
        if not over and not await store.claim(recording_id):
            raise InvalidRequest(
                "The recording is still being made: end its call, or wait.",
                code="recording_is_live",
                status=409,
            )
        # First of all: whoever finds it half deleted deletes the rest.
        record = replace(record, state="deleted", files={})
        await store.write(recorded=[record])
        await self._unspool(record.id)
        await self._delete(record)

    async def delete_call(self, call_id: str) -> None:
        """Delete a call, with all that is kept of it.

        Raises:
            NotFound: There is none of this id.
            InvalidRequest: It has not ended, or is being recorded.
            ServerError: The storage cannot be reached; it is tried again.
        """
        store = await self._store()
        call = await store.call(call_id)
        if call.ended is not None:  # or the store refuses
            for record in await store.recordings_in(call_id):
                await self.delete(record.id)
        self._writer.forget(call_id)
        await store.delete(call_id)
        await self._scrub(store)

    async def expire(self, now: float) -> None:
        """Delete what is over its time, and what was deleted by half.

        Raises:
            ServerError: The storage or the store cannot be reached.
        """
        store = await self._store()
        for record in await store.expired(now):
            with suppress(NotFound, InvalidRequest):  # another process was faster
                await self.delete(record.id)
        for call_id in await store.old(now - self._keep_seconds):
            with suppress(NotFound, InvalidRequest):
                await self.delete_call(call_id)
        if not self._scrubbed:
            await self._scrub(store)

    async def _delete(self, record: RecordingRecord) -> None:
        """Delete what is not in the spool; the row goes last."""
        await self._storage.delete(record.id)
        store = await self._store()
        self._writer.forget(record.call)
        await store.unsay(record.call)
        await store.delete_recording(record.id)
        await self._scrub(store)

    async def _unspool(self, recording_id: str) -> None:
        await asyncio.to_thread(_remove, self._spool / recording_id)

    async def _scrub(self, store: Store) -> None:
        self._scrubbed = await store.scrub()


def _remove(folder: Path) -> None:
    """Delete a folder, whoever else does so at the same time."""
    while folder.exists():
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)


def _written(folder: Path) -> float:
    """When something in a folder was written last."""
    return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))


def _untold(folder: Path) -> RecordingRecord | None:
    """Read what a recorder wrote of a recording that the store has never heard of.

    Its process died while the store was down.
    """
    try:
        value = json.loads((folder / "recording.json").read_bytes())
        return RecordingRecord(folder.name, str(value["call"]["id"]), value["began"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
