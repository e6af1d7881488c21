"""An observer that remembers what it was told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from offhook.archive.records import CallRecord
    from offhook.protocol.entries import Entry


class Witness:
    def __init__(self) -> None:
        self.calls: list[CallRecord] = []
        self.entries: list[Entry] = []
        self.statistics: list[Mapping[str, float]] = []
        self.ended_calls: list[CallRecord] = []
        self._news = asyncio.Event()

    def began(self, call: CallRecord) -> None:
        self.calls.append(call)
        self._news.set()

    def told(self, call: CallRecord, entry: Entry) -> None:
        self.entries.append(entry)
        self._news.set()

    def measured(self, call: CallRecord, statistics: Mapping[str, float]) -> None:
        self.statistics.append(statistics)
        self._news.set()

    def ended(self, call: CallRecord) -> None:
        self.ended_calls.append(call)
        self._news.set()

    async def until(self, seen: Callable[[], object]) -> None:
        """Wait until something was told."""
        async with asyncio.timeout(20):
            while not seen():
                self._news.clear()
                await self._news.wait()

    async def end(self) -> CallRecord:
        """Wait until a call has ended."""
        await self.until(lambda: self.ended_calls)
        return self.ended_calls[-1]

    def marks(self, event: str) -> list[Entry]:
        """Return the marks of this name."""
        return [e for e in self.entries if e.kind == "mark" and e.text == event]
