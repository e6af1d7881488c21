"""The official JavaScript SDK, unmodified, calls through the relay."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from offhook import create_app
from offhook.settings import Settings
from tests.browser.site import SDK, site
from tests.relays import serving
from tests.words import plain

if TYPE_CHECKING:
    from offhook.speech import Engines
    from tests.browser.conftest import Open
    from tests.browser.visitor import Visitor

pytestmark = pytest.mark.anyio

# What the SDK's own guide says, but for the two addresses.
CALL = """async (voice) => {
  const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebRTC } = OpenAIAgentsRealtime;
  const minted = await fetch(`${voice}/v1/realtime/client_secrets`, { method: "POST" });
  const { value } = await minted.json();
  const agent = new RealtimeAgent({ name: "Greeter", instructions: "Be brief." });
  const transport = new OpenAIRealtimeWebRTC({ baseUrl: `${voice}/v1/realtime/calls` });
  const session = new RealtimeSession(agent, { transport });
  window.session = session;
  window.problems = [];
  session.on("error", (error) => window.problems.push(JSON.stringify(error)));
  await session.connect({ apiKey: value });
  return transport.callId;
}"""


async def talk(visitor: Visitor, engines: Engines, page: str, voice: str) -> None:
    await visitor.page.goto(page)
    call_id = await visitor.page.evaluate(CALL, voice)
    assert call_id.startswith("rtc_")
    await visitor.until("output_audio_buffer.stopped")
    _, pcm = await visitor.sound("heard")
    assert "56" in plain(await engines.recognise(pcm.tobytes()))
    history = await visitor.page.evaluate("session.history")
    assert [item["role"] for item in history] == ["user", "assistant"]
    spoken = [item["content"][0]["transcript"] for item in history]
    assert "times" in spoken[0]
    assert "56" in spoken[1]
    assert (await visitor.page.evaluate("session.usage"))["totalTokens"] > 0
    assert await visitor.page.evaluate("window.problems") == []
    await visitor.page.evaluate("session.close()")


@pytest.mark.parametrize("where", ["same origin", "cross origin"])
async def test_a_spoken_turn(
    local_url: str, visit: Open, engines: Engines, where: str
) -> None:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(serving(site(SDK)))
        settings = Settings.load(upstream=local_url, api_key="x", origins=other)
        routes = [
            Mount("/voice", app=create_app(settings)),
            Mount("/", app=site(SDK)),
        ]
        host = await stack.enter_async_context(serving(Starlette(routes=routes)))
        script = (2.0, "What is seven times eight?", 3.0)
        visitor = await stack.enter_async_context(visit(*script))
        page = host if where == "same origin" else other
        await talk(visitor, engines, page, f"{host}/voice")
