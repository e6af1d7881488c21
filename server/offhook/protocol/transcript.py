"""What was said in a call, as people read it, in the times of its recording."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from offhook.protocol.entries import Entry, Who

_NAMES: Mapping[Who, str] = {"caller": "Caller", "model": "Model", "server": "Server"}

# An event comes some time after what it tells of: so far from its time speech is
# looked for, and where there is none at all, still further.
_NEAR_MS = 150
_FAR_MS = 1500
# Speech with a shorter pause between belongs together.
_PAUSE_MS = 400
# A cue is seen for so long at least.
_SHORTEST_MS = 100


class Burst(NamedTuple):
    """Speech without a pause, in milliseconds."""

    begins: int
    ends: int


def snapped(
    entries: Iterable[Entry], speech: Mapping[Who, Sequence[Burst]], length_ms: int
) -> list[Entry]:
    """Put the turns that were spoken where they are heard in the recording.

    Args:
        entries: With their times by the events; in any order.
        speech: Where there is speech in the tracks, in order.
        length_ms: Of the recording; what is after it is not.

    Returns:
        The entries by when they begin. A turn that is not heard keeps its times.
    """
    told = [
        replace(entry, ends_ms=min(entry.ends_ms, length_ms))
        for entry in entries
        if entry.begins_ms <= length_ms
    ]
    for who, bursts in speech.items():
        turns = [n for n, entry in enumerate(told) if _spoken(entry, who)]
        own: dict[int, list[Burst]] = {n: [] for n in turns}
        for burst in bursts if turns else ():
            own[min(turns, key=lambda n: _distance(told[n], burst))].append(burst)
        for n, heard in own.items():
            told[n] = _moved(told[n], heard)
    return sorted(told, key=lambda entry: entry.begins_ms)


def _spoken(entry: Entry, who: Who) -> bool:
    modality = entry.data.get("modality")
    return entry.kind == "turn" and entry.who == who and modality == "audio"


def _distance(entry: Entry, burst: Burst) -> int:
    """How far speech is from a turn; the more of it is in the turn, the less."""
    return max(entry.begins_ms - burst.ends, burst.begins - entry.ends_ms)


def _moved(entry: Entry, bursts: Sequence[Burst]) -> Entry:
    """Put a turn where it is heard, of the speech that is nearest to it."""
    begins, ends = entry.begins_ms - _NEAR_MS, entry.ends_ms + _NEAR_MS
    inside = [n for n, b in enumerate(bursts) if b.begins < ends and b.ends > begins]
    if not inside:
        near = [(_distance(entry, burst), n) for n, burst in enumerate(bursts)]
        if not near or min(near)[0] > _FAR_MS:
            return entry
        inside = [min(near)[1]]
    first, last = inside[0], inside[-1]
    while (
        first
        and bursts[first].begins - bursts[first - 1].ends < _PAUSE_MS
        and bursts[first - 1].begins > begins - _FAR_MS
    ):
        first -= 1
    while (
        last + 1 < len(bursts)
        and bursts[last + 1].begins - bursts[last].ends < _PAUSE_MS
        and bursts[last + 1].ends < ends + _FAR_MS
    ):
        last += 1
    return replace(entry, begins_ms=bursts[first].begins, ends_ms=bursts[last].ends)


def webvtt(entries: Iterable[Entry]) -> str:
    """The turns as WebVTT, each said by a voice."""
    blocks = ["WEBVTT"]
    for entry in _turns(entries):
        ends = max(entry.ends_ms, entry.begins_ms + _SHORTEST_MS)
        text = " ".join(entry.text.split())
        for plain, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(plain, escaped)
        blocks.append(
            f"{_clock(entry.begins_ms)} --> {_clock(ends)}\n"
            f"<v {_NAMES[entry.who]}>{text}</v>"
        )
    return "\n\n".join(blocks) + "\n"


def plain(entries: Iterable[Entry]) -> str:
    """The turns as text, a line each."""
    return "".join(
        f"[{_clock(entry.begins_ms)[:-4]}] {_NAMES[entry.who]}: "
        f"{' '.join(entry.text.split())}\n"
        for entry in _turns(entries)
    )


def _turns(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.kind == "turn" and entry.text.strip()]


def _clock(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"
