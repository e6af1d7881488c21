"""The folder of one recording, as it is written: by the disk's thread only."""

from __future__ import annotations

import errno
import json
import os
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from offhook.audio import opus
from offhook.errors import InvalidRequest
from offhook.protocol import ogg
from offhook.protocol.rtp import CLOCK_RATE
from offhook.protocol.timeline import Timeline

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]  # Windows has none

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from offhook.protocol.rtp import Packet

# Of the files that are made after a call.
Format = Literal["opus", "wav", "flac"]

CALLER, MODEL, EVENTS, ABOUT = (
    "caller.opus",
    "model.opus",
    "events.jsonl",
    "recording.json",
)
TRACKS = (CALLER, MODEL)
# Of a track's stream; those of one recording can be put into one file.
SERIALS = {CALLER: 1, MODEL: 2}

# Nobody else may read what was said.
FOLDER_MODE, FILE_MODE = 0o700, 0o600

_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_ADDED_TO = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
_ADDED_TO |= getattr(os, "O_BINARY", 0)  # Windows

# What of a file may wait for a disk that is full: 5 minutes of a track.
_MOST_PENDING = 2 * 2**20


@dataclass
class About:
    """What `recording.json` says.

    Attributes:
        began: When the timeline begins, in seconds since 1970.
        state: What is on the disk: a recording that is being made, or was, when its
            process died; one that is whole; one that was made whole afterwards.
        length_ms: Of both tracks; None while it is not known.
        lost_ms: How much of each file is silent because it could not be written.
        error: Why, the first time.
        pauses: When nothing was recorded, from and to.
        formats: What is made of it after the call, beside Ogg Opus.
        call: Whatever else there is to know.
    """

    began: float
    state: Literal["recording", "complete", "recovered"] = "recording"
    length_ms: int | None = None
    lost_ms: dict[str, int] = field(default_factory=dict)
    error: str | None = None
    pauses: list[list[int]] = field(default_factory=list)
    formats: list[Format] = field(default_factory=list)
    call: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> About:
        """Read it.

        Raises:
            InvalidRequest: There is none that can be read.
        """
        try:
            value = json.loads((folder / ABOUT).read_bytes())
            return cls(**value)
        except (OSError, ValueError, TypeError):
            raise InvalidRequest(f"{folder} has no recording in it.") from None

    def write(self, folder: Path) -> None:
        """Write it, all or nothing."""
        part = folder / f"{ABOUT}.part"
        with open(os.open(part, _NEW, FILE_MODE), "w", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=1)
        part.replace(folder / ABOUT)


class Spool:
    """The files of a recording.

    Args:
        folder: Is made.
        began: When the timeline begins, by the clock that packets come by.
        about: What is known of it.
        live: Whether what is heard is live, too; see `Timeline`.
        failed: Called once, with why a file cannot be written.

    Raises:
        OSError: The folder or a file cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        began: float,
        about: About,
        *,
        live: bool,
        failed: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._about = about
        self._failed = failed
        # `parents=True` would make those for everybody.
        for parent in reversed(folder.parents):
            parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
        folder.mkdir(mode=FOLDER_MODE)
        about.write(folder)
        with ExitStack() as stack:
            self._files = [
                stack.enter_context(_File(folder / name, self._fail))
                for name in (*TRACKS, EVENTS)
            ]
            self._close = stack.pop_all().close
        *files, self._events = self._files
        self._tracks = [
            _Track(file, name, Timeline(began, live=live or name == CALLER))
            for file, name in zip(files, TRACKS, strict=True)
        ]

    def write(
        self,
        came: Iterable[Sequence[tuple[Packet, float]]],
        events: list[str],
        now: float,
    ) -> None:
        """Write what has come.

        Args:
            came: For each track, its packets and when they came.
            events: Lines.
            now: The time, by the same clock.
        """
        for track, packets in zip(self._tracks, came, strict=True):
            track.write(packets, now)
        if events and self._events.room:
            self._events.write("".join(f"{line}\n" for line in events).encode())
        else:
            self._events.write(b"")

    def leave(self) -> None:
        """Let go of the files, as they are."""
        self._close()

    def close(self, now: float, pauses: list[list[int]]) -> About:
        """End both tracks at the same time, and say that the recording is whole."""
        length = max(track.end(now) for track in self._tracks)
        for track in self._tracks:
            track.close(length)
        about = self._about
        about.pauses = pauses
        about.length_ms = milliseconds(self._tracks[0].granule - ogg.PRE_SKIP)
        about.lost_ms = {t.name: milliseconds(t.lost) for t in self._tracks if t.lost}
        try:
            for file in self._files:
                file.settle()
            about.state = "complete"
            about.write(self._folder)
        except OSError as error:
            about.state = "recording"  # as the disk has it
            self._fail(error)
        finally:
            self._close()
        return about

    def _fail(self, error: OSError) -> None:
        if self._about.error is None:
            self._about.error = os.strerror(error.errno or 0)
            self._failed(f"{self._folder.name}: {self._about.error}")


class _Track:
    """A track, and its timeline."""

    def __init__(self, file: _File, name: str, timeline: Timeline) -> None:
        self.name = name
        self.lost = 0  # samples that could not be written
        self._missing = 0  # of them, those that silence has to stand for yet
        self._file = file
        self._timeline = timeline
        self._ogg = ogg.Writer(SERIALS[name])
        file.write(self._ogg.heads(title=name.removesuffix(".opus")))

    @property
    def granule(self) -> int:
        return self._ogg.granule

    def write(self, came: Iterable[tuple[Packet, float]], now: float) -> None:
        for packet, at in came:
            self._timeline.put(packet, at)
        self._put(self._timeline.advance(now))

    def end(self, now: float) -> int:
        """Write what waits, and return how long the track is, or has to be."""
        self._put(self._timeline.end())
        return max(self._timeline.length, self._timeline.at(now))

    def close(self, length: int) -> None:
        """End it, so that a player plays this length; there is a packet to end with."""
        self._put(self._timeline.pad(length + ogg.PRE_SKIP), last=True)

    def _put(self, payloads: list[bytes], *, last: bool = False) -> None:
        if self._file.room or last:
            if self._missing:
                payloads = opus.silence(self._missing) + payloads
                self._missing = 0
            self._file.write(self._ogg.pages(payloads, last=last))
        else:
            samples = sum(map(opus.duration, payloads))
            self._missing += samples
            self.lost += samples
            self._file.write(b"")


class _File:
    """A file that is only added to; what cannot be written waits.

    Args:
        path: Must not be there.
        failed: Called with each error.
    """

    def __init__(self, path: Path, failed: Callable[[OSError], None]) -> None:
        self._failed = failed
        self._file = os.open(path, _ADDED_TO, FILE_MODE)
        lock(self._file)
        self._size = 0
        self._pending = b""  # at most _MOST_PENDING, and what is written at once

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            os.close(self._file)

    @property
    def room(self) -> bool:
        """Whether more may wait."""
        return len(self._pending) < _MOST_PENDING

    def write(self, data: bytes) -> None:
        """Write what waits, and this."""
        self._pending += data
        try:
            while self._pending:
                written = os.write(self._file, self._pending)
                self._size += written
                self._pending = self._pending[written:]
        except OSError as error:
            self._failed(error)

    def settle(self) -> None:
        """Be sure that it is on the disk.

        Raises:
            OSError: It is not.
        """
        os.fsync(self._file)
        if self._pending:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def lock(file: int) -> bool:
    """Keep others from it until it is closed; return whether nobody else has it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def milliseconds(samples: int) -> int:
    """How long so many samples are."""
    return round(samples * 1000 / CLOCK_RATE)
