"""How long a caller waits, heard in the page of a real browser.

Both figures are taken from one recording of what the page sent and what it played:

- wait: from the end of the caller's last word to the first sound of the answer. It
  contains the pause of 500 ms that the endpoint waits for by default.
- stop: from the caller's first sound during an answer to the answer's last.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from playwright.async_api import async_playwright

from offhook.settings import LocalSettings
from offhook.speech import Engines
from tests.browser.visitor import RATE, Visitor, visiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Playwright

QUESTIONS = (
    "What time is it?",
    "What is seven times eight?",
    "How do you spell dog?",
    "What day is it today?",
    "Repeat after me, the train leaves at noon.",
)
ROUNDS = 3


async def measure() -> None:
    """Print the median and the extremes of both figures."""
    async with async_playwright() as playwright, serving() as url:
        asked, cut = await _speech()
        waits, stops = [], []
        for _ in range(ROUNDS):
            waits += await _waits(playwright, url, asked)
            stops.append(await _stop(playwright, url, cut))
    for name, values in (("wait", waits), ("stop", stops)):
        ms = sorted(round(1000 * value) for value in values)
        middle = round(statistics.median(ms))
        # print: this is what the command is for
        line = f"{name}: median {middle} ms, {ms[0]} to {ms[-1]} ms, {len(ms)} turns\n"
        sys.stdout.write(line)


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """Run `offhook serve` as a user does, and give the URL that it prints."""
    command = [sys.executable, "-m", "offhook", "serve", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout
    try:
        line = await process.stdout.readline()
        yield line.decode().split()[-1]
    finally:
        process.terminate()
        await process.wait()


async def _speech() -> tuple[bytes, bytes]:
    async with Engines.load(LocalSettings.load()) as engines:

        async def say(text: str) -> bytes:
            return b"".join([pcm async for pcm in engines.synthesise(text, "echo")])

        second = bytes(2 * RATE)
        questions = [await say(question) + 5 * second for question in QUESTIONS]
        counting = await say("Please count to twenty.")
        asked = 2 * second + b"".join(questions)
        return asked, 2 * second + counting + 3 * second + await say("Stop.")


async def _call(visitor: Visitor, url: str) -> None:
    await visitor.page.goto(url)
    await visitor.page.click("#call")


async def _waits(playwright: Playwright, url: str, speech: bytes) -> list[float]:
    async with visiting(playwright, speech) as visitor:
        await _call(visitor, url)
        await visitor.until("output_audio_buffer.stopped", len(QUESTIONS))
        asked, answered = await visitor.speech("sent"), await visitor.speech("heard")
        return [
            min(start for start, _ in answered if start > end) - end for _, end in asked
        ]


async def _stop(playwright: Playwright, url: str, speech: bytes) -> float:
    async with visiting(playwright, speech) as visitor:
        await _call(visitor, url)
        await visitor.until("conversation.item.truncated")
        await visitor.until("response.done", 2)
        (_, second), (answer, *_) = (
            (await visitor.speech("sent"))[:2],
            await visitor.speech("heard"),
        )
        return answer[1] - second[0]
