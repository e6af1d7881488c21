"""How long lists of calls take: `python -m tests.benchmarks.store [calls] [URL]`."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import statistics
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from offhook.archive.records import CallQuery, CallRecord
from offhook.archive.store import Store
from offhook.protocol.entries import Entry, Who

if TYPE_CHECKING:
    from collections.abc import Iterable

_TURNS, _WORDS, _BATCH = 12, 12, 500
_VOCABULARY = 20_000
# The most common word is in every fifteenth place, as in English.
_WEIGHTS = list(itertools.accumulate(1 / (rank + 1) for rank in range(_VOCABULARY)))
_FIRST = 1.7e9


def word(rank: int) -> str:
    """A word that no other begins like."""
    return f"{rank * 7919 % 1_000_003:05x}w"


def calls(chance: random.Random, numbers: Iterable[int]) -> list[CallRecord]:
    return [
        CallRecord(
            f"rtc_{number:032x}",
            chance.choice(("support", "sales", "booking")),
            chance.choice(("direct", "bridged", "phone")),
            _FIRST + number * 20,
            ended=_FIRST + number * 20 + chance.random() * 600,
            turns=_TURNS,
        )
        for number in numbers
    ]


def said(chance: random.Random) -> list[Entry]:
    entries = []
    for turn in range(_TURNS):
        ranks = chance.choices(range(_VOCABULARY), cum_weights=_WEIGHTS, k=_WORDS)
        text = " ".join(map(word, ranks))
        at = turn * 3000
        who: Who = "model" if turn % 2 else "caller"
        entries.append(Entry("turn", who, at, at + 2000, text))
    return entries


async def fill(store: Store, count: int) -> float:
    """Write calls, and return how many milliseconds each took."""
    chance, took = random.Random(1), 0.0
    for begin in range(0, count, _BATCH):
        some = calls(chance, range(begin, min(count, begin + _BATCH)))
        lines = [(call.id, entry) for call in some for entry in said(chance)]
        before = time.perf_counter()
        await store.write(some, lines)
        took += time.perf_counter() - before
    return took / count * 1000


async def main(count: int, url: str) -> None:
    queries = {
        "the newest 50": CallQuery(),
        "the newest 1,000": CallQuery(limit=1000),
        "of an agent": CallQuery(agent="sales"),
        "the longest": CallQuery(sort="longest"),
        "with a recording (none)": CallQuery(recorded=True),
        "the most common word": CallQuery(text=word(0)),
        "two common words": CallQuery(text=f"{word(1)} {word(2)}"),
        "a rare word": CallQuery(text=word(15_000)),
        "three letters": CallQuery(text=word(3)[:3]),
    }
    async with Store.open(url) as store:
        write = await fill(store, count)
        print(f"{count} calls: {write:.2f} ms to write each")  # noqa: T201
        for name, query in queries.items():
            took = []
            for _ in range(9):
                before = time.perf_counter()
                page = await store.find(query)
                took.append((time.perf_counter() - before) * 1000)
            line = (
                f"{name:25}{statistics.median(took):7.1f} ms, {len(page.calls)} calls"
            )
            print(line)  # noqa: T201


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        default = f"sqlite:///{os.path.join(folder, 'calls.db')}"
        asyncio.run(
            main(int((sys.argv[1:] or ["10000"])[0]), (sys.argv[2:] or [default])[0])
        )
