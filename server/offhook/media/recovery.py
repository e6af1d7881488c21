"""Recordings that a process left when it died, made whole."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

from offhook.audio import opus
from offhook.media.spool import (
    EVENTS,
    FILE_MODE,
    SERIALS,
    TRACKS,
    About,
    lock,
    milliseconds,
)
from offhook.protocol import ogg

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 2**20
_HEADS = 2  # pages
_LEAST = 120  # samples that a track ends with


def recovered(folder: Path) -> About | None:
    """Make the tracks of a recording whole and equally long.

    Args:
        folder: What a `Recorder` has made. Whatever was on the disk stays; at most a
            page that was being written is cut off.

    Returns:
        What there is; None where somebody records into it.

    Raises:
        InvalidRequest: There is no recording in it.
        OSError: A file cannot be read or written.
    """
    about = About.read(folder)
    if about.state != "recording":
        return about
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(_opened(folder / name))
            for name in (*TRACKS, EVENTS)
        }
        if not all(lock(file.fileno()) for file in files.values()):
            return None
        tracks = [_Track(files[name], name) for name in TRACKS]
        length = max(_LEAST, *(track.granule for track in tracks))
        for track in tracks:
            track.mend(length)
        _mend_lines(files[EVENTS])
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
        about.state = "recovered"
        about.length_ms = milliseconds(max(0, length - ogg.PRE_SKIP))
        about.write(folder)
    return about


class _Track:
    """A track as it was found."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._serial = SERIALS[name]
        self._title = name.removesuffix(".opus")
        self._pages = 0
        self._last: ogg.Page | None = None
        self._before = 0  # the granule position before the last page
        reader = ogg.Reader()
        while block := file.read(_BLOCK):
            for page in reader.feed(block):
                self._before, self._last = self.granule, page
                self._pages += 1

    @property
    def granule(self) -> int:
        return self._last.granule if self._last else 0

    def mend(self, length: int) -> None:
        """Write its end anew, so that it has this length and says that it ends."""
        last, packets = self._last, list[bytes]()
        if last is None or self._pages < _HEADS:
            writer, ends = ogg.Writer(self._serial), 0
            heads = writer.heads(title=self._title)
        else:
            audio = self._pages > _HEADS
            writer = ogg.Writer(
                self._serial,
                sequence_number=last.sequence_number + (not audio),
                granule=self._before if audio else 0,
            )
            heads, ends = b"", last.begins if audio else last.ends
            packets = last.packets if audio else []
        packets = packets + opus.silence(length - self.granule)
        self._file.seek(ends)
        self._file.write(heads + writer.pages(packets, last=True))
        self._file.truncate()


def _opened(path: Path) -> IO[bytes]:
    """Open a file that may not have been made yet."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    return open(os.open(path, flags, FILE_MODE), "r+b")


def _mend_lines(file: IO[bytes]) -> None:
    """Cut off a line that was not written to its end."""
    ends = 0
    for line in file:
        ends += len(line) if line.endswith(b"\n") else 0
    file.truncate(ends)
