"""Real Chromium with a recording as its microphone, in front of real servers."""

from __future__ import annotations

import wave
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import async_playwright

from tests.browser.chromium import ARGUMENTS, executable
from tests.browser.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from playwright.async_api import Playwright

    Open = Callable[..., AbstractAsyncContextManager[Visitor]]

EAR = Path(__file__).with_name("ear.js")


@pytest.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as running:
        yield running


@pytest.fixture(scope="session")
async def visit(
    playwright: Playwright,
    speak: Callable[[str], Awaitable[bytes]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Open:
    """Open a browser whose microphone says these sentences, with pauses in seconds."""

    @asynccontextmanager
    async def open_browser(
        *script: str | float, microphone: bool = True
    ) -> AsyncIterator[Visitor]:
        file = tmp_path_factory.mktemp("microphone") / "speech.wav"
        parts = [
            bytes(int(part * 24000) * 2)
            if isinstance(part, float)
            else await speak(part)
            for part in script
        ]
        with wave.open(str(file), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(24000)
            sound.writeframes(b"".join(parts) + bytes(48000))
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
            await context.add_init_script(path=EAR)
            yield Visitor(await context.new_page())
        finally:
            await browser.close()

    return open_browser
