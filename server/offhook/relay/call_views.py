"""What the pages of calls are asked, and what they show: plain data in and out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast, get_args

from offhook.archive.records import CallQuery, CallRecord, Path, Sort
from offhook.errors import InvalidRequest
from offhook.relay.figures import size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offhook.archive.records import RecordingRecord

PATHS: tuple[str, ...] = get_args(Path)
SORTS: tuple[str, ...] = get_args(Sort)
# What the list says of a recording.
STATES = {
    "none": "no",
    "recording": "being recorded",
    "mastering": "being made",
    "ready": "ready",
    "failed": "failed",
    "deleted": "deleted",
}

# In the order of the downloads; other files are the page's own.
_LABELS = {
    "call.opus": "Both sides, stereo (Ogg Opus)",
    "call.wav": "Both sides, stereo (WAV)",
    "call.flac": "Both sides, stereo (FLAC)",
    "caller.opus": "The caller (Ogg Opus)",
    "model.opus": "The model (Ogg Opus)",
    "transcript.txt": "Transcript (text)",
    "transcript.vtt": "Transcript (WebVTT)",
    "timeline.json": "Timeline (JSON)",
    "events.jsonl": "Events (JSON lines)",
}

# What is measured of each side's network.
_NETWORK = {
    "packets_received": "Packets from it",
    "packets_lost": "Lost of them",
    "jitter_ms": "Jitter",
    "packets_sent": "Packets to it",
    "packets_missed": "Lost of these",
    "round_trip_ms": "Round trip",
}

_NAMES = {"cpu_seconds": "processor_seconds"}
_CALL = tuple(field.name for field in fields(CallRecord))
_FIELDS = ("text", "agent", "path", "recorded", "since", "until", "sort", "zone")
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_DAY = timedelta(days=1)
_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """The fields of the form above the list, as they came."""

    text: str = ""
    agent: str = ""
    path: str = ""
    recorded: str = ""
    since: str = ""
    until: str = ""
    sort: str = "newest"
    zone: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Asked:
        """Take them from a query; what is empty counts as not there."""
        return cls(**{name: given[name] for name in _FIELDS if given.get(name)})

    @property
    def filters(self) -> bool:
        """Whether they leave any call out."""
        return any((self.text, self.agent, self.path, self.recorded, *self.days))

    @property
    def days(self) -> tuple[str, str]:
        """The first and the last day."""
        return self.since, self.until

    def query(self, cursor: str | None, limit: str | None) -> CallQuery:
        """Make the query they mean.

        Raises:
            InvalidRequest: One of them means nothing.
        """
        zone = timedelta(minutes=_whole("zone", self.zone or "0", -1440, 1440))
        return CallQuery(
            text=self.text[:_LONGEST_TEXT] or None,
            agent=self.agent or None,
            path=cast("Path | None", _one_of("path", self.path, PATHS)),
            since=_time("since", self.since, zone),
            until=_time("until", self.until, zone, _DAY),
            recorded=_yes_or_no("recorded", self.recorded),
            sort=cast("Sort", _one_of("sort", self.sort, SORTS)),
            cursor=cursor or None,
            limit=_whole("limit", limit or "50", 1, 1000),
        )


@dataclass(frozen=True, slots=True)
class File:
    """What can be downloaded."""

    name: str
    label: str
    size: str
    url: str


@dataclass(frozen=True, slots=True)
class Sound:
    """What a page has of a recording.

    Attributes:
        state: As in `STATES`.
        progress: How much of its making is done, 0 to 1.
        error: What went wrong, in words.
        expires: When it is deleted.
        offset: Where it begins on the call's line, in seconds.
        audio: The URL of what is played.
        peaks: The URL of the waveforms.
        files: What can be downloaded.
    """

    state: str = "none"
    progress: float = 0.0
    error: str | None = None
    expires: float | None = None
    offset: float = 0.0
    audio: str | None = None
    peaks: str | None = None
    files: tuple[File, ...] = ()

    @classmethod
    def of(cls, recording: RecordingRecord | None, offset: float, root: str) -> Sound:
        """Find it in a recording, whose files are at `recordings/…` under the root."""
        if recording is None:
            return cls()
        base = f"{root}recordings/{recording.id}"
        urls = {name: f"{base}/{name}" for name in recording.files}
        return cls(
            recording.state,
            recording.progress,
            recording.error,
            recording.expires,
            max(0.0, offset),
            urls.get("call.opus"),
            urls.get("peaks.json"),
            tuple(
                File(name, label, size(recording.files[name].bytes), urls[name])
                for name, label in _LABELS.items()
                if name in urls
            ),
        )

    @property
    def is_coming(self) -> bool:
        """Whether it is being made."""
        return self.state in ("recording", "mastering")


def call_json(call: CallRecord, recording: RecordingRecord | None) -> dict[str, Any]:
    """Make of a call what the JSON twins of both pages say of it."""
    # `asdict` would copy all of a thousand calls in depth.
    return {
        "object": "call",
        **{name: getattr(call, name) for name in _CALL},
        "seconds": call.seconds,
        "recording": None if recording is None else asdict(recording),
    }


def figures(values: Mapping[str, Any], *path: str) -> Iterator[tuple[str, str]]:
    """List numbers and words by their names, those of nested objects too."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from figures(value, *path, name)
        elif value is not None and value != []:
            yield _figure(" ".join((*path, name)), value)


def connection(
    statistics: Mapping[str, Any],
) -> tuple[list[tuple[str, list[str]]], dict[str, Any]]:
    """Lay out how the network fared, a column for each side, and return the rest."""
    left = dict(statistics)
    left.pop("first_audio_ms", None)  # has a section of its own
    sides = [
        {name: left.pop(f"{side}_{name}", None) for name in _NETWORK}
        for side in ("caller", "model")
    ]
    for side in sides:
        lost = side["packets_lost"]
        came = (side["packets_received"] or 0) + (lost or 0)
        side["packets_lost"] = _share(lost, came)
        side["packets_missed"] = _share(side["packets_missed"], side["packets_sent"])
    rows = [
        (label, [_figure(name, side[name])[1] for side in sides])
        for name, label in _NETWORK.items()
    ]
    return [row for row in rows if any(row[1])], left


def _share(part: Any, whole: Any) -> str | None:
    """Write how many of how many packets did not come."""
    if not isinstance(part, int | float):
        return None
    share = f" ({100 * part / whole:.1f} %)" if part and whole else ""
    return f"{part:,.0f}{share}"


def facts(call: CallRecord) -> Iterator[tuple[str, str]]:
    """List what else is known of a call."""
    consent = {None: "not asked", True: "given", False: "refused"}[call.consent]
    yield "Id", call.id
    yield from (("Model", call.model),) if call.model else ()
    yield from (("Called from", call.origin),) if call.origin else ()
    if call.connected is not None:
        yield "Connected after", f"{max(0.0, call.connected - call.began):.2f} s"
    yield "Consent to recording", consent


def _figure(name: str, value: Any) -> tuple[str, str]:
    if value is None:
        return name, ""
    name, value = _NAMES.get(name, name).replace("_", " "), _rounded(value)
    for ending, unit in ((" ms", " ms"), (" seconds", " s"), (" percent", " %")):
        if name.endswith(ending):
            return name.removesuffix(ending).capitalize(), f"{value}{unit}"
    return name.capitalize(), str(value)


def _rounded(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(_rounded, value))
    return str(value)


def _time(name: str, text: str, zone: timedelta, plus: timedelta | None = None) -> Any:
    """Read a day, or seconds since 1970; a day that is the last counts whole."""
    if not text:
        return None
    try:
        if _SECONDS.fullmatch(text):
            return float(text)
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        return (day - zone + (plus or timedelta())).timestamp()
    except (ValueError, OverflowError):
        raise _wrong(name, "a day such as 2026-11-25, or seconds since 1970") from None


def _one_of(name: str, text: str, values: tuple[str, ...]) -> str | None:
    if text and text not in values:
        raise _wrong(name, f"one of {', '.join(values)}")
    return text or None


def _yes_or_no(name: str, text: str) -> bool | None:
    said = _one_of(name, text, ("true", "false"))
    return None if said is None else said == "true"


def _whole(name: str, text: str, least: int, most: int) -> int:
    wanted = f"a whole number from {least} to {most}"
    try:
        value = int(text)
    except ValueError:
        raise _wrong(name, wanted) from None
    if not least <= value <= most:
        raise _wrong(name, wanted)
    return value


def _wrong(name: str, wanted: str) -> InvalidRequest:
    return InvalidRequest(f"{name} must be {wanted}.", code="invalid_value", param=name)
