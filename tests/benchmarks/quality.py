"""What a call does to speech, heard in a real browser and by the model.

A model reads sentences aloud while a caller says others, by the official SDK in
Chromium: directly, and through the relay over both legs. The far end is the same each
time, and so are Chromium's encoder (32 kb/s), jitter buffer and loss concealment.

- heard, got: PESQ-wb (1 to 4.64) of what the page heard of the model, and the model of
  the caller, on a clean line: the median of the rounds, and the best. The browser is
  asked to keep 500 ms, or it would stretch what it hears for other work on the machine.
- wrong: of 100 words how many are recognised otherwise than they were meant, where 5 of
  100 packets are lost: in the page, and by the model.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections import defaultdict
from importlib.util import find_spec
from typing import TYPE_CHECKING

from playwright.async_api import async_playwright

from offhook.settings import LocalSettings
from offhook.speech import Engines
from tests.browser.likeness import RATE, found, misheard, pesq
from tests.browser.reading import WAYS, reading

if TYPE_CHECKING:
    from playwright.async_api import Playwright

WORDS = (
    "The train to the airport leaves at noon from platform seven. "
    "Bring your umbrella and the blue book to the station."
)
LOSS = 0.05
ROUNDS = 3
PAUSE = bytes(2 * RATE * 3 // 2)

# By way and figure.
Found = defaultdict[tuple[str, str], list[float]]


async def measure() -> None:
    """Print a table."""
    if find_spec("pesq") is None:
        show("quality: left out, as PESQ is not installed (pip install pesq)")
        return
    values: Found = defaultdict(list)
    async with (
        Engines.load(LocalSettings.model_validate({})) as engines,
        async_playwright() as playwright,
    ):
        said = b"".join([pcm async for pcm in engines.synthesise(WORDS, "echo")])
        for _ in range(ROUNDS):
            for way in WAYS:
                await add_round(values, way, playwright, engines, said)
    show(f"{'':<12}{'heard':>14}{'got':>14}{'wrong %':>14}")
    for way in WAYS:
        clean = [spread(values[way, figure]) for figure in ("heard", "got")]
        wrong = [
            f"{100 * statistics.mean(values[way, figure]):.0f}"
            for figure in ("wrong heard", "wrong got")
        ]
        show(f"{way:<12}" + "".join(f"{c:>14}" for c in (*clean, ", ".join(wrong))))


async def add_round(
    values: Found, way: str, playwright: Playwright, engines: Engines, said: bytes
) -> None:
    seconds = len(said) / 2 / RATE
    microphone = PAUSE + said + PAUSE + said + PAUSE
    async with reading(playwright, way, microphone, cushion_ms=500) as call:
        # First one direction is bad, while the browser gets to its 500 ms; then the
        # other one.
        call.path.down = LOSS
        lossy = await call.read(said)
        await call.until("sent", 2 + seconds)
        got = bytes(call.reader.heard)
        call.reader.heard.clear()
        call.path.down, call.path.up = 0.0, LOSS
        clean = await call.read(said)
        await call.until("sent", 3.5 + 2 * seconds)
        broken = bytes(call.reader.heard)
        heard = await call.heard()
    values[way, "heard"].append(pesq(said, heard[clean]))
    values[way, "got"].append(pesq(said, got))
    for figure, pcm in (("wrong heard", heard[lossy]), ("wrong got", broken)):
        words = await engines.recognise(found(said, pcm))
        values[way, figure].append(misheard(WORDS, words))


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({max(values):.2f})"


def show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(measure())
