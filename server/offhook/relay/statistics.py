"""The figures of a bridged call: how its network fares, and what it costs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from offhook.media.leg import Leg
    from offhook.media.path import Statistics
    from offhook.relay.calls import LiveCall

# RTCP reports come about as often.
_SECONDS = 5.0

# The meters of this process: its processor time is theirs together.
_running: set[Meter] = set()


class Meter:
    """Measures one call until it ends.

    What a call costs cannot be told apart from what the others cost at the same time:
    `cpu_seconds` is its part of the processor time of the whole process, divided
    evenly among the calls that it carried, sample by sample. So it includes what else
    the process did.

    Use as an async context manager, inside those of the legs.

    Args:
        call: Takes the figures.
        legs: The audio of its sides, by name.
        dropped: Counts the caller's datagrams that were dropped, by reason.
    """

    def __init__(
        self,
        call: LiveCall,
        legs: Mapping[str, Leg],
        dropped: Callable[[], Mapping[str, int]],
    ) -> None:
        self._call = call
        self._legs = legs
        self._dropped = dropped
        self._clock = 0.0
        self._spent = 0.0

    async def __aenter__(self) -> Self:
        _running.add(self)
        self._clock = time.process_time()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.measure()
        finally:
            _running.discard(self)

    async def run(self) -> None:
        """Measure now and then."""
        while True:
            await asyncio.sleep(_SECONDS)
            await self.measure()

    async def measure(self) -> None:
        """Measure, and tell the call."""
        figures: dict[str, float] = {}
        for side, leg in self._legs.items():
            figures |= dict(_named(side, await leg.statistics()))
        for reason, count in self._dropped().items():
            figures[f"caller_dropped_{reason}"] = count
        now = time.process_time()
        self._spent += (now - self._clock) / len(_running)
        self._clock = now
        figures["cpu_seconds"] = self._spent
        self._call.measure(figures)


def _named(side: str, statistics: Statistics) -> Iterator[tuple[str, float]]:
    """Name what is known of a side's network."""
    known = {
        "packets_received": statistics.packets_received,
        "packets_lost": statistics.packets_lost,
        "packets_sent": statistics.packets_sent,
        "packets_missed": statistics.packets_missed,
        "jitter_ms": _ms(statistics.jitter_s),
        "round_trip_ms": _ms(statistics.round_trip_s),
        "dropped_useless": statistics.dropped or None,
    }
    for name, value in known.items():
        if value is not None:
            yield f"{side}_{name}", value


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
