"""A person at a page: what they see, press and hear, and what the browser reports."""

from __future__ import annotations

import base64
import json
import tempfile
import wave
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.browser.chromium import ARGUMENTS, executable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray
    from playwright.async_api import Locator, Page, Playwright, Request

_EAR = Path(__file__).with_name("ear.js")

RATE = 24000
_LOUD = 0.02  # of full scale: well above the codec's noise, well below speech


class Visitor:
    """One page in one browser."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.console: list[str] = []
        self.requests: list[Request] = []
        page.on("console", lambda message: self._said(message.text))
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("request", lambda request: self.requests.append(request))

    def _said(self, text: str) -> None:
        # The one line that comes of our own listening, see ear.js.
        if "ScriptProcessorNode is deprecated" not in text:
            self.console.append(text)

    async def events(self) -> list[dict[str, Any]]:
        """Everything that came over the data channel."""
        raw = await self.page.evaluate("window.ear.events")
        return [json.loads(text) for text in raw]

    async def until(self, kind: str, count: int = 1) -> None:
        """Wait for the n-th event of a type."""
        await self.page.wait_for_function(
            "([kind, count]) => window.ear.events.filter("
            "(text) => JSON.parse(text).type === kind).length >= count",
            arg=[kind, count],
            timeout=60_000,
        )

    async def captions(self, role: str) -> list[str]:
        """What the page shows as said by one side."""
        lines: Locator = self.page.locator(f"offhook-call li[data-role={role}]")
        texts = await lines.all_inner_texts()
        return [" ".join(text.split("\n")[1:]) for text in texts]

    async def sound(self, side: str) -> tuple[float, NDArray[np.int16]]:
        """Return when recording of `sent` or `heard` began, in seconds, and the PCM."""
        begin, text = await self.page.evaluate(
            "(side) => [window.ear[side + 'Begin'].at, "
            "window.ear.pcm(window.ear[side])]",
            side,
        )
        return begin, np.frombuffer(base64.b64decode(text), "<i2")

    async def speech(self, side: str) -> list[tuple[float, float]]:
        """Return (start, end) in seconds of every stretch of sound, on one clock.

        Gaps shorter than 0.4 s belong to the stretch.
        """
        begin, pcm = await self.sound(side)
        loud = np.flatnonzero(np.abs(pcm.astype(float)) > _LOUD * 32767) / RATE + begin
        if not len(loud):
            return []
        breaks = np.flatnonzero(np.diff(loud) > 0.4)
        starts = [loud[0], *loud[breaks + 1]]
        ends = [*loud[breaks], loud[-1]]
        return [(float(a), float(b)) for a, b in zip(starts, ends, strict=True)]


@asynccontextmanager
async def visiting(
    playwright: Playwright, speech: bytes, *, microphone: bool = True
) -> AsyncIterator[Visitor]:
    """Open a browser.

    Args:
        playwright: Drives it.
        speech: What its microphone says, once: 24 kHz PCM.
        microphone: Whether pages may have it.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "speech.wav")
        with wave.open(str(file), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(RATE)
            sound.writeframes(speech + bytes(2 * RATE))
        arguments = [
            *ARGUMENTS,
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={file}%noloop",
        ]
        if microphone:
            arguments.append("--use-fake-ui-for-media-stream")
        browser = await playwright.chromium.launch(
            executable_path=executable(), args=arguments
        )
        try:
            context = await browser.new_context()
            await context.add_init_script(path=_EAR)
            yield Visitor(await context.new_page())
        finally:
            await browser.close()
