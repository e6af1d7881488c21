"""Measures what a caller waits for: `make bench`."""

from __future__ import annotations

import asyncio

from tests.benchmarks.turns import measure

if __name__ == "__main__":
    asyncio.run(measure())
