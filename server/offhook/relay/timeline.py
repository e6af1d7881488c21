"""A call as pictures: where its entries lie on a line, and how long each answer took.

Places are per cent of the line, so that a page can stretch it.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from offhook.relay.figures import clock, delay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offhook.protocol.journal import Entry

# Steps that people count in, and how many of them a line has at most.
_STEPS_MS = tuple(
    seconds * 1000 for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
)
_MOST_TICKS = 12
_NARROWEST = 0.05
# Left free for what is written at the scale, in per cent.
_AXIS = 13
_SCALES_MS = (500, 1000, 2000, 5000, 10_000, 20_000, 60_000)


@dataclass(frozen=True, slots=True)
class Span:
    """What lasted: which entry, from where, how wide, and what it says of itself."""

    number: int
    entry: Entry
    left: float
    width: float
    label: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A time on the line."""

    left: float
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    """How long one answer took: its entry's number, and its height in per cent."""

    number: int
    left: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Who did what when."""

    milliseconds: float
    spans: list[Span]
    ticks: list[Tick]

    @classmethod
    def of(cls, entries: Sequence[Entry], milliseconds: float) -> Timeline:
        """Lay entries out on a line of this length, or longer if they are."""
        last = max((entry.ends_ms for entry in entries), default=0)
        whole = max(milliseconds, last, 1.0)
        spans = [_span(number, entry, whole) for number, entry in enumerate(entries)]
        return cls(whole, spans, _ticks(whole))

    def where(self, *kinds: str) -> list[Span]:
        """Return the spans of these kinds."""
        return [span for span in self.spans if span.entry.kind in kinds]


@dataclass(frozen=True, slots=True)
class Latency:
    """The time to first audio of each answer, after the caller's last word."""

    bars: list[Bar]
    scale: float
    median: float
    longest: float

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Latency | None:
        """Find it in the turns that say it; None if there are none."""
        given = [
            (number, float(entry.data["first_audio_ms"]))
            for number, entry in enumerate(entries)
            if isinstance(entry.data.get("first_audio_ms"), int | float)
        ]
        if not given:
            return None
        longest = max(value for _, value in given)
        scale = next((s for s in _SCALES_MS if s >= longest), longest)
        room = (100 - _AXIS) / len(given)
        width = min(0.7 * room, 4)
        first = _AXIS + (room - width) / 2
        bars = [
            Bar(number, first + at * room, width, 100 * ms / scale, delay(ms))
            for at, (number, ms) in enumerate(given)
        ]
        return cls(bars, scale, median(value for _, value in given), longest)


def _span(number: int, entry: Entry, whole: float) -> Span:
    width = max(100 * (entry.ends_ms - entry.begins_ms) / whole, _NARROWEST)
    left = min(100 * entry.begins_ms / whole, 100 - width)
    said = f"{clock(entry.begins_ms)} {entry.text}".strip()
    return Span(number, entry, left, width, said[:200])


def _ticks(whole: float) -> list[Tick]:
    step = next((s for s in _STEPS_MS if whole / s <= _MOST_TICKS), _STEPS_MS[-1])
    return [
        Tick(100 * at / whole, clock(at)) for at in range(0, int(whole) + 1, int(step))
    ]
