"""Calls that pass through the relay, by the official JavaScript SDK in Chromium."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from agents import function_tool

from offhook import OpenAIRealtimeWebSocket, RealtimeAgent, create_app
from offhook.settings import Settings
from tests.browser.likeness import found, misheard, pesq
from tests.browser.reading import reading
from tests.browser.site import CALL, SDK, site
from tests.relays import serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Playwright

    from offhook.speech import Engines
    from tests.browser.conftest import Open

    Speak = Callable[[str], Awaitable[bytes]]

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

LEGS = pytest.mark.parametrize("leg", ["webrtc", "websocket"])
WORDS = "Bring your umbrella and the blue book to the station at noon."
PAUSE = bytes(2 * 24000)
ASKS = """() => session.transport.on("output_audio_buffer.stopped", () => {
  if (!window.asked) session.sendMessage("Please count to twenty.");
  window.asked = true;
})"""


@function_tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"It rains in {city}."


@LEGS
async def test_a_conversation(
    leg: str, local_url: str, visit: Open, engines: Engines
) -> None:
    """A tool that runs on the server answers, and an answer is interrupted."""
    brain = RealtimeAgent(name="Support", tools=[get_weather])
    given: dict[str, Any] = {"agents": {"support": brain}}
    if leg == "websocket":
        url = f"{local_url.replace('http', 'ws')}/realtime?model=any"
        given["transport"] = lambda agent: OpenAIRealtimeWebSocket(
            url=url, api_key="x", reported=True
        )
    # A busy machine may be too late for the first time that it is asked.
    again = (4.0, "What is six times seven?") * 3
    script = (2.0, "What's the weather in Paris?", *again, 3.0)
    async with AsyncExitStack() as stack:
        page = await stack.enter_async_context(serving(site(SDK)))
        app = create_app(Settings.load(upstream=local_url, origins=page), **given)
        voice = await stack.enter_async_context(serving(app))
        visitor = await stack.enter_async_context(visit(*script))
        await visitor.page.goto(page)
        await visitor.page.evaluate(CALL, voice)
        await visitor.page.evaluate(ASKS)
        await visitor.until("conversation.item.truncated")
        await visitor.until("output_audio_buffer.stopped", 2)
        _, pcm = await visitor.sound("heard")
        words = (await engines.recognise(pcm.tobytes())).lower().replace("-", " ")
        assert "rains in paris" in words
        assert "forty two" in words
        answers, asked = await visitor.speech("heard"), await visitor.speech("sent")
        (counted, began), *_ = (
            (answer, start)
            for start, _ in asked
            for answer in answers
            if answer[0] < start < answer[1]
        )
        assert counted[1] - began < 0.4
        events = await visitor.events()
        cut = next(e for e in events if e["type"] == "conversation.item.truncated")
        # What was cut is what was heard, but for what was on its way.
        assert abs(cut["audio_end_ms"] / 1000 - (counted[1] - counted[0])) < 0.25
        assert await visitor.page.evaluate("window.problems") == []
        assert visitor.console == []
        await visitor.page.evaluate("session.close()")


@LEGS
async def test_speech_is_hardly_changed_and_survives_loss(
    leg: str, playwright: Playwright, speak: Speak, engines: Engines
) -> None:
    said = await speak(WORDS)
    seconds = len(said) / 2 / 24000
    microphone = PAUSE + PAUSE[:24000] + said + PAUSE + said + PAUSE
    # The browser waits so long that nothing is heard of other work on the machine. In
    # the first half it gets to that, and one direction is bad; then the other one.
    async with reading(playwright, leg, microphone, cushion_ms=500) as call:
        call.path.down = 0.05
        uneven = await call.read(said)
        await call.until("sent", 2.0 + seconds)
        got = bytes(call.reader.heard)
        call.reader.heard.clear()
        call.path.down, call.path.up = 0.0, 0.05
        even = await call.read(said)
        await call.until("sent", 3.0 + 2 * seconds)
        broken = bytes(call.reader.heard)
        assert call.path.lost > 5
        heard = await call.heard()
        scores = [pesq(said, heard[even])]
        # On a very busy machine the browser's own recording has gaps.
        while max(scores) < 4.0 and len(scores) < 4:
            again = await call.read(said)
            scores.append(pesq(said, (await call.heard())[again]))
    assert max(scores) >= 4.0
    assert pesq(said, got) >= 4.0
    for pcm in (heard[uneven], broken):
        assert misheard(WORDS, await engines.recognise(found(said, pcm))) < 0.35
