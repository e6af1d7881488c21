"""What is kept of calls: the shapes that the store, the recorder and the pages share.

Times are seconds since 1970; those in a call are milliseconds since its `began`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Path = Literal["direct", "bridged", "websocket", "phone", "tee"]
State = Literal["recording", "mastering", "ready", "failed", "deleted"]
Sort = Literal["newest", "oldest", "longest"]


def recording_id() -> str:
    """Make an id that nobody can guess: 128 random bits."""
    return f"rec_{secrets.token_hex(16)}"


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call.

    Attributes:
        id: `rtc_…`, or what the path has in its place.
        agent: The agent's name.
        path: How its audio went.
        began: When it was accepted; its timeline's zero.
        model: The model that answered, if it said.
        origin: The origin of the page that called, if it was a page.
        connected: When audio could flow, if it ever could.
        ended: When it ended; None while it lasts.
        reason: Why it ended, in a word for programs: `caller`, `limit`, `lost`, ….
        error: What went wrong, in words, if something did.
        consent: What the caller said to being recorded; None if it was not asked.
        turns: How many turns were taken, of both sides.
        usage: Tokens by kind, as the model counted them.
        statistics: The network's and the call's figures, by name.
        recording: The id of its recording, if there is one.
    """

    id: str
    agent: str
    path: Path
    began: float
    model: str | None = None
    origin: str | None = None
    connected: float | None = None
    ended: float | None = None
    reason: str | None = None
    error: str | None = None
    consent: bool | None = None
    turns: int = 0
    usage: Mapping[str, Any] = field(default_factory=dict)
    statistics: Mapping[str, Any] = field(default_factory=dict)
    recording: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long it lasted; None while it lasts."""
        return None if self.ended is None else max(0.0, self.ended - self.began)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a recording."""

    bytes: int
    media_type: str


@dataclass(frozen=True, slots=True)
class RecordingRecord:
    """One recording of a call.

    Attributes:
        id: `rec_` and 128 random bits.
        call: The id of its call.
        began: When its timeline begins.
        state: `failed` keeps what there is for another try; `deleted` has no files.
        progress: How much of the mastering is done, 0 to 1.
        seconds: How long it is; None until it is known.
        files: What can be had of it, by name.
        expires: When it is deleted; None: when somebody deletes it.
        error: Why it failed, in words.
    """

    id: str
    call: str
    began: float
    state: State = "recording"
    progress: float = 0.0
    seconds: float | None = None
    files: Mapping[str, StoredFile] = field(default_factory=dict)
    expires: float | None = None
    error: str | None = None

    @property
    def bytes(self) -> int:
        """The size of all its files."""
        return sum(file.bytes for file in self.files.values())


@dataclass(frozen=True, slots=True)
class CallQuery:
    """Which calls to list.

    Attributes:
        text: Words that were all said in the call, in any order; the last may be just
            the first three letters of one, or more.
        agent: The agent's name.
        path: How the audio went.
        since: Begun at this time or later.
        until: Begun before this time.
        recorded: Whether it has a recording.
        min_seconds: Ended, after this time or longer.
        sort: `longest` lists ended calls only.
        cursor: `Page.next` of the page before this one.
        limit: How many calls a page has, 1 to 1,000.
    """

    text: str | None = None
    agent: str | None = None
    path: Path | None = None
    since: float | None = None
    until: float | None = None
    recorded: bool | None = None
    min_seconds: float | None = None
    sort: Sort = "newest"
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Calls that a query found; `next` is the cursor of the page after it, if any."""

    calls: tuple[CallRecord, ...]
    next: str | None = None
