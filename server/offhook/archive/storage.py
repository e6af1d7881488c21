"""Where finished recordings are: a folder, or whatever fsspec knows by a URL.

Each has a folder of its own, named by its id. No name here is anybody's choice but
ours; whoever reads goes by what the store says of a recording.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offhook.errors import MissingExtra, ServerError, SettingsError, redact

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]  # has no types

_CHUNK = 2**20
# A listing that is remembered would hide what other processes do.
_OPTIONS: dict[str, dict[str, Any]] = {"s3": {"use_listings_cache": False}}


class Storage:
    """Files of recordings.

    Its work is done in threads: of a cancelled call it may still be done.

    Raises:
        ServerError: From every method: the storage cannot be reached, or is full.
    """

    def __init__(self, files: AbstractFileSystem, root: str) -> None:
        """Take a file system, and the folder in it."""
        self._files = files
        self._root = root.rstrip("/")
        # Where a folder can be renamed, nobody ever sees half of one.
        self._is_local = "file" in _protocols(files)

    @classmethod
    def at(cls, url: str) -> Storage:
        """Use what is at a URL, or in a folder of this machine.

        Raises:
            SettingsError: There is no such kind of storage.
            MissingExtra: Its driver is not installed.
        """
        try:
            from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # has no types
        except ModuleNotFoundError as error:
            raise MissingExtra("store", str(error.name)) from None
        try:
            return cls(*url_to_fs(url, **_OPTIONS.get(url.partition(":")[0], {})))
        except ImportError as error:
            extra = "s3" if url.startswith("s3:") else "store"
            raise MissingExtra(extra, error.name or str(error)) from None
        except ValueError:
            raise SettingsError(
                "recordings (OFFHOOK_RECORDINGS) must be a folder, or a URL that "
                "fsspec knows: s3://bucket/folder",
                code="invalid_settings",
            ) from None

    async def put(self, recording_id: str, files: Iterable[Path]) -> None:
        """Store a recording's files, all of them or none."""
        await self._do(self._put, recording_id, list(files))

    async def read(
        self, recording_id: str, name: str, begin: int, end: int
    ) -> AsyncGenerator[bytes, None]:
        """Give the bytes of a file from `begin` up to `end`, piece by piece."""
        path = f"{self._root}/{recording_id}/{name}"
        while begin < end:
            until = min(begin + _CHUNK, end)
            # By name: the order is not the same in every driver.
            cat = partial(self._files.cat_file, path, start=begin, end=until)
            piece: bytes = await self._do(cat)
            if not piece:
                raise ServerError("A recording's file is short.", code="storage_failed")
            yield piece
            begin += len(piece)

    async def delete(self, recording_id: str) -> None:
        """Delete a recording's files; none may be there."""
        await self._do(self._delete, recording_id)

    def _put(self, recording_id: str, files: list[Path]) -> None:
        place = f"{self._root}/{recording_id}"
        if not self._is_local:
            for file in files:
                self._files.put_file(str(file), f"{place}/{file.name}")
            return
        folder = Path(self._root)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = folder / f".{recording_id}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        try:
            for file in files:
                _copy(file, part / file.name)
            shutil.rmtree(place, ignore_errors=True)
            part.rename(place)
            _settle(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def _delete(self, recording_id: str) -> None:
        place = f"{self._root}/{recording_id}"
        # Not what was listed before: another process may have added to it.
        self._files.invalidate_cache()
        if self._is_local:  # what a dead process left half
            shutil.rmtree(f"{self._root}/.{recording_id}.part", ignore_errors=True)
        with suppress(FileNotFoundError):  # another process was faster
            if self._files.exists(place):
                self._files.rm(place, recursive=True)

    async def _do(self, work: Callable[..., Any], *given: Any) -> Any:
        try:
            return await asyncio.to_thread(work, *given)
        except Exception as error:
            # Each driver has errors of its own.
            raise ServerError(
                f"The storage of recordings failed: {redact(str(error))}",
                code="storage_failed",
                status=503,
            ) from error


def _protocols(files: AbstractFileSystem) -> tuple[str, ...]:
    protocol = files.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _copy(file: Path, to: Path) -> None:
    """Copy a file for its owner only, and be sure that it is on the disk."""
    with file.open("rb") as source, open(to, "xb", opener=_private) as target:
        shutil.copyfileobj(source, target, _CHUNK)
        target.flush()
        os.fsync(target.fileno())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _settle(folder: Path) -> None:
    """Be sure that the names in a folder are on the disk, where that can be said."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
