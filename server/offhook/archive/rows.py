"""What is kept of calls as rows of the tables, and back."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from offhook.archive.records import CallRecord, RecordingRecord, StoredFile
from offhook.protocol.entries import Entry

_CALL = [field.name for field in fields(CallRecord)]
_RECORDING = [field.name for field in fields(RecordingRecord)]
_ENTRY = [field.name for field in fields(Entry)]


def of_call(call: CallRecord, node: str) -> dict[str, Any]:
    """Make a call's row; while it lasts it is this node's.

    Which recording it has is known by the recording.
    """
    given = {name: getattr(call, name) for name in _CALL if name != "recording"}
    row = {k: _clean(v) if isinstance(v, str) else v for k, v in given.items()}
    row |= {"usage": dict(call.usage), "statistics": dict(call.statistics)}
    return row | {"seconds": call.seconds, "node": node if call.ended is None else None}


def of_entry(entry: Entry, number: int) -> dict[str, Any]:
    """Make the row of what happened in the call of this number."""
    return {**asdict(entry), "call": number, "text": _clean(entry.text)}


def of_recording(recording: RecordingRecord, node: str | None) -> dict[str, Any]:
    """Make a recording's row; while it is made it is this node's."""
    row = {name: getattr(recording, name) for name in _RECORDING}
    files = {name: asdict(file) for name, file in recording.files.items()}
    at_work = recording.state in ("recording", "mastering")
    return row | {"files": files, "node": node if at_work else None}


def call(row: Any) -> CallRecord:
    """Read a call."""
    return CallRecord(**{name: getattr(row, name) for name in _CALL})


def entry(row: Any) -> Entry:
    """Read what happened in a call."""
    return Entry(**{name: getattr(row, name) for name in _ENTRY})


def recording(row: Any) -> RecordingRecord:
    """Read a recording."""
    given = {name: getattr(row, name) for name in _RECORDING}
    files = {name: StoredFile(**file) for name, file in row.files.items()}
    return RecordingRecord(**given | {"files": files})


def _clean(text: str) -> str:
    """Leave out what no database takes: half characters, and PostgreSQL no NUL."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
