"""Measures what a caller waits for, how many can call, and what that costs."""

from __future__ import annotations

import asyncio

from tests.benchmarks import (
    media,
    offers,
    quality,
    recording,
    sessions,
    turns,
    websocket,
)


async def measure() -> None:
    await turns.measure()
    await sessions.measure()
    await offers.measure()
    await websocket.measure()
    await quality.measure()
    await media.measure()
    await recording.measure()


if __name__ == "__main__":
    asyncio.run(measure())
