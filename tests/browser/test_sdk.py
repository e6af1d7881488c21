"""The official JavaScript SDK, unmodified, calls through the relay."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from offhook import create_app
from offhook.settings import Settings
from tests.browser.site import CALL, SDK, site
from tests.relays import serving
from tests.witness import Witness
from tests.words import plain

if TYPE_CHECKING:
    from offhook.speech import Engines
    from tests.browser.conftest import Open
    from tests.browser.visitor import Visitor

pytestmark = pytest.mark.anyio


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


async def test_the_servers_agent_stands_against_that_of_the_sdk(
    local_url: str, visit: Open
) -> None:
    """What it says when it connects is put back; what is tried later ends the call."""
    witness = Witness()
    settings = Settings.load(upstream=local_url, api_key="x")
    agents = {"support": {"instructions": "canary"}}
    voice = create_app(settings, agents=agents, observers=[witness])
    routes = [Mount("/voice", app=voice), Mount("/", app=site(SDK))]
    async with serving(Starlette(routes=routes)) as host, visit(1.0) as visitor:
        await visitor.page.goto(host)
        await visitor.page.evaluate(CALL, f"{host}/voice")
        await witness.until(lambda: witness.marks("guard.restored"))
        assert "instructions" in witness.marks("guard.restored")[0].data["what"]
        assert await visitor.page.evaluate("session.transport.status") == "connected"
        await visitor.page.evaluate(
            "session.transport.updateSessionConfig({ instructions: 'Be rude.' })"
        )
        assert (await witness.end()).reason == "guard"
    assert len(witness.marks("guard.restored")) == 1
