from __future__ import annotations

from typing import Any

import pytest
from agents.realtime import RealtimeAgent as SdkAgent
from agents.realtime import realtime_handoff

from offhook.agent import RealtimeAgent
from tests.agent.scripted import get_weather, scene

pytestmark = pytest.mark.anyio


def test_it_is_the_sdks_own() -> None:
    agent: RealtimeAgent[Any] = RealtimeAgent(
        name="Greeter", tools=[get_weather], voice="cedar"
    )
    assert isinstance(agent, SdkAgent)
    assert realtime_handoff(agent).tool_name == "transfer_to_greeter"
    copy = agent.clone(name="Other")
    assert (copy.name, copy.tools, getattr(copy, "voice", None)) == (
        "Other",
        [get_weather],
        "cedar",
    )


@pytest.mark.parametrize(
    ("config", "voice"),
    [
        ({}, "cedar"),
        ({"voice": "echo"}, "echo"),
        ({"voice": "echo", "audio": {"output": {"voice": "ash"}}}, "ash"),
    ],
)
async def test_the_configuration_goes_over_the_agents_voice(
    config: dict[str, Any], voice: str
) -> None:
    agent: RealtimeAgent[Any] = RealtimeAgent(name="Greeter", voice="cedar")
    async with scene(agent, config=config) as it:
        server = await it.connect()
        session = (await server.next("session.update"))["session"]
        assert session["audio"]["output"]["voice"] == voice


async def test_the_voice_changes_until_it_was_heard() -> None:
    first: RealtimeAgent[Any] = RealtimeAgent(name="Greeter", voice="cedar")
    second: RealtimeAgent[Any] = RealtimeAgent(name="Second", voice="ash")
    third: SdkAgent[Any] = SdkAgent(name="Third")
    async with scene(first) as it:
        server = await it.connect()

        async def voice() -> str | None:
            await it.settled(server)
            updates = [e for e in server.heard if e["type"] == "session.update"]
            output: dict[str, Any] = updates[-1]["session"]["audio"]["output"]
            return output.get("voice")

        await it.session.update_agent(second)
        assert await voice() == "ash"
        await server.begin("r1")
        await server.end("r1", await server.words("Hello."))
        await it.told.next("agent_end")
        # It stays, and is not asked for again.
        await it.session.update_agent(first)
        assert await voice() is None
        await it.session.update_agent(third)
        assert await voice() is None
