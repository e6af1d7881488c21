"""Measures what a caller waits for, and how many can call: `make bench`."""

from __future__ import annotations

import asyncio

from tests.benchmarks import media, sessions, turns


async def measure() -> None:
    await turns.measure()
    await sessions.measure()
    await media.measure()


if __name__ == "__main__":
    asyncio.run(measure())
