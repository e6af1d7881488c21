"""The official JavaScript SDK in Chromium, on a site of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncOpenAI

from tests.browser.site import SDK, site
from tests.clients.places import AGENT, LOCAL, RELAY, opened
from tests.clients.records import LONG, scripted
from tests.clients.results import judge
from tests.relays import serving
from tests.words import plain

if TYPE_CHECKING:
    from offhook.speech import Engines
    from tests.browser.conftest import Open
    from tests.browser.visitor import Visitor
    from tests.clients.records import Speak

pytestmark = pytest.mark.anyio

PLAY = """async ({ scenario, kind, url, apiKey, voice, long }) => {
  const { pcmOf, play } = await import("/scenarios.mjs");
  const sdk = OpenAIAgentsRealtime;
  const transport =
    kind === "WebRTC"
      ? new sdk.OpenAIRealtimeWebRTC({ baseUrl: url })
      : new sdk.OpenAIRealtimeWebSocket({ url });
  const sounds = Object.entries(voice).map(([name, base64]) => [name, pcmOf(base64)]);
  voice = { long, ...Object.fromEntries(sounds) };
  return play(scenario, { sdk, transport, apiKey, voice });
}"""


async def play(visitor: Visitor, page: str, base_url: str, **given: Any) -> Any:
    """Play a scenario with a key that is fit for a browser."""
    async with AsyncOpenAI(base_url=base_url, api_key="sk-any") as server:
        minted = await server.realtime.client_secrets.create()
    given["apiKey"] = minted.value
    await visitor.page.goto(page)
    return await visitor.page.evaluate(PLAY, given)


@pytest.mark.parametrize(
    ("name", "scenarios"),
    [
        (LOCAL, ("tool", "interrupted", "pushed")),
        (RELAY, ("spoken", "tool", "interrupted")),
        (AGENT, ("written", "interrupted")),
    ],
)
async def test_over_a_websocket(
    local_url: str,
    visit: Open,
    speak: Speak,
    engines: Engines,
    name: str,
    scenarios: tuple[str, ...],
) -> None:
    async with (
        serving(site(SDK)) as page,
        opened(name, local_url, origins=page) as place,
        visit(0.1) as visitor,
    ):
        url = f"{place.ws_url}?model=gpt-realtime-2.1"
        script = await scripted(speak)
        for scenario in scenarios:
            given = {"scenario": scenario, "kind": "WebSocket", "url": url, **script}
            result = await play(visitor, page, place.url, **given)
            await judge(scenario, result, engines)
        assert visitor.console == []


async def test_over_webrtc(local_url: str, visit: Open, engines: Engines) -> None:
    url = f"{local_url}/realtime/calls"
    given = {"kind": "WebRTC", "url": url, "voice": {}, "long": ""}
    weather = "What's the weather in Paris?"
    over = ("Please count to twenty.", 3.0, "What time is it?", 4.0)
    script = (2.0, weather, 4.0, *over)
    async with serving(site(SDK)) as page, visit(*script) as visitor:
        result = await play(visitor, page, local_url, scenario="called", **given)
        await judge("called", result, engines)
        _, pcm = await visitor.sound("heard")
        assert "sunny" in plain(await engines.recognise(pcm.tobytes()))
        assert visitor.console == []


async def test_over_webrtc_the_program_interrupts(
    local_url: str, visit: Open, engines: Engines
) -> None:
    url = f"{local_url}/realtime/calls"
    given = {
        "kind": "WebRTC",
        "url": url,
        "voice": {},
        "long": f"Repeat after me: {LONG}",
    }
    async with serving(site(SDK)) as page, visit(30.0) as visitor:
        result = await play(visitor, page, local_url, scenario="hushed", **given)
        await judge("hushed", result, engines)
        assert visitor.console == []
