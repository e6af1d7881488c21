"""Real Chromium with a recording as its microphone, in front of real servers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import async_playwright

from tests.browser.visitor import RATE, Visitor, visiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from playwright.async_api import Playwright

    Open = Callable[..., AbstractAsyncContextManager[Visitor]]


@pytest.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as running:
        yield running


@pytest.fixture(scope="session")
async def visit(
    playwright: Playwright, speak: Callable[[str], Awaitable[bytes]]
) -> Open:
    """Open a browser whose microphone says these sentences, with pauses in seconds."""

    @asynccontextmanager
    async def open_browser(
        *script: str | float, microphone: bool = True
    ) -> AsyncIterator[Visitor]:
        parts = [
            await speak(part) if isinstance(part, str) else bytes(2 * int(part * RATE))
            for part in script
        ]
        async with visiting(
            playwright, b"".join(parts), microphone=microphone
        ) as visitor:
            yield visitor

    return open_browser
