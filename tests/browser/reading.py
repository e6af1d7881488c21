"""A call between somebody at a page and a model that reads aloud."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offhook import create_app
from offhook.settings import Settings
from tests.browser.lossy import Lossy, lossy
from tests.browser.reader import RATE, Reader
from tests.browser.site import CALL, SDK, site
from tests.browser.visitor import Visitor, visiting
from tests.relays import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Playwright, Route

# Ways from a page to a model.
WAYS: dict[str, dict[str, Any]] = {
    "direct": {},
    "webrtc": {"media": "bridged"},
    "websocket": {"media": "bridged", "leg": "websocket"},
}
SAMPLES = "(side) => window.ear[side].reduce((sum, chunk) => sum + chunk.length, 0)"
# What the microphone hears is sent as it is, so that it can be compared.
AS_IT_IS = """(() => {
  const devices = navigator.mediaDevices;
  const original = devices.getUserMedia.bind(devices);
  const off = { echoCancellation: false, noiseSuppression: false };
  devices.getUserMedia = () => original({ audio: { ...off, autoGainControl: false } });
})()"""
# A busy machine makes no difference to what is heard.
CUSHION = "(ms) => { window.ear.peer.getReceivers()[0].jitterBufferTarget = ms; }"


@dataclass
class Reading:
    """One call.

    Attributes:
        reader: The model.
        visitor: The caller.
        path: What their packets take.
    """

    reader: Reader
    visitor: Visitor
    path: Lossy

    async def read(self, pcm: bytes) -> slice:
        """Read something aloud, and return where it is in what the page has heard."""
        begin: int = await self.visitor.page.evaluate(SAMPLES, "heard")
        await self.reader.read(pcm)
        end = begin + len(pcm) // 2 + int(1.2 * RATE)
        await self.until("heard", end / RATE)
        return slice(2 * begin, 2 * end)

    async def until(self, side: str, seconds: float) -> None:
        """Wait until the page has `sent` or `heard` so much."""
        enough = f"([side, samples]) => ({SAMPLES})(side) >= samples"
        arg = [side, int(seconds * RATE)]
        await self.visitor.page.wait_for_function(enough, arg=arg)

    async def heard(self) -> bytes:
        """What the page has heard; it is deaf while it tells that."""
        _, pcm = await self.visitor.sound("heard")
        return pcm.tobytes()


@asynccontextmanager
async def reading(
    playwright: Playwright, way: str, microphone: bytes, cushion_ms: int | None = None
) -> AsyncIterator[Reading]:
    """Call a model that reads aloud by the official SDK, unmodified.

    Args:
        playwright: Drives the browser.
        way: One of `WAYS`.
        microphone: What the caller says from the first moment on: 24 kHz PCM.
        cushion_ms: How much the browser is to keep before it plays; by default, what
            it deems right.
    """
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(Reader())
        page = await stack.enter_async_context(serving(site(SDK)))
        agents = {"reader": {"instructions": "Read aloud.", **WAYS[way]}}
        app = create_app(Settings.load(origins=page), agents=agents, upstream=reader)
        voice = await stack.enter_async_context(serving(app))
        path = await stack.enter_async_context(lossy())
        visitor = await stack.enter_async_context(visiting(playwright, microphone))

        async def detour(route: Route) -> None:
            answer = await route.fetch()
            body = path.between(await answer.text())
            await route.fulfill(response=answer, body=body)

        await visitor.page.route("**/v1/realtime/calls", detour)
        await visitor.page.add_init_script(AS_IT_IS)
        await visitor.page.goto(page)
        await visitor.page.evaluate(CALL, voice)
        await visitor.page.evaluate(CUSHION, cushion_ms)
        yield Reading(reader, visitor, path)
        assert await visitor.page.evaluate("window.problems") == []
        await visitor.page.evaluate("session.close()")
