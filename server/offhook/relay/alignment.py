"""Puts what was said in a call where it is heard in its recording.

The events that tell of speech come later than the speech. The timeline of a recording
has looked into the sound; of it a turn takes its times.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest
from offhook.protocol.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def aligned(
    entries: Iterable[Entry], timeline: Iterable[Any], offset_ms: float
) -> list[Entry]:
    """Give turns the times that they have in a timeline.

    Args:
        entries: Of the call.
        timeline: The entries of the recording's timeline, as JSON.
        offset_ms: When the recording began, since the call did.

    Returns:
        The entries, by when they begin.
    """
    heard = {
        turn: (entry.begins_ms, entry.ends_ms)
        for entry in _read(timeline)
        if (turn := _turn(entry))
    }
    moved = []
    for entry in entries:
        turn = _turn(entry)
        if turn and turn in heard:
            begins, ends = (max(0, round(ms + offset_ms)) for ms in heard[turn])
            entry = replace(entry, begins_ms=begins, ends_ms=ends)
        moved.append(entry)
    return sorted(moved, key=lambda entry: entry.begins_ms)


def _turn(entry: Entry) -> tuple[str, str] | None:
    """Name a turn by what the server called it."""
    name = entry.data.get("response_id") or entry.data.get("item_id")
    if entry.kind != "turn" or not isinstance(name, str):
        return None
    return entry.who, name


def _read(timeline: Iterable[Any]) -> Iterator[Entry]:
    for value in timeline:
        try:
            yield Entry.from_json(value)
        except InvalidRequest:
            continue
