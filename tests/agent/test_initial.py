from __future__ import annotations

from typing import Any

import pytest
from agents import WebSearchTool

from offhook.agent import RealtimeAgent, RealtimeSession
from offhook.errors import InvalidRequest
from offhook.protocol.client_config import defaults
from tests.agent.scripted import get_weather, scene

pytestmark = pytest.mark.anyio

BEE: RealtimeAgent[Any] = RealtimeAgent(name="Bee")


async def instructions(context: Any, agent: Any) -> str:
    return f"{agent.name} talks to {context.context}."


def greeter(**fields: Any) -> RealtimeAgent[Any]:
    return RealtimeAgent(
        name="Greeter",
        instructions=instructions,
        tools=[get_weather],
        handoffs=[BEE],
        voice="ash",
        **fields,
    )


async def test_it_is_what_connect_asks_for() -> None:
    config = {"speed": 1.2, "modalities": ["text"]}
    async with scene(greeter(), config=config, context="Ada") as it:
        initial = await it.session.get_initial_session_config()
        assert it.session.transport.status == "disconnected"
        server = await it.connect()
        assert (await server.next("session.update"))["session"] == initial
    assert initial["instructions"] == "Greeter talks to Ada."
    names = [tool["name"] for tool in initial["tools"]]
    assert names == ["get_weather", "transfer_to_bee"]
    assert initial["audio"]["output"] == {
        **defaults()["audio"]["output"],
        "voice": "ash",
        "speed": 1.2,
    }
    assert initial["output_modalities"] == ["text"]


async def test_what_is_given_goes_over_it() -> None:
    session = RealtimeSession(
        greeter(), transport="websocket", workflow_name="w", context="Ada"
    )
    initial = await session.get_initial_session_config({"voice": "cedar"})
    assert initial["audio"]["output"]["voice"] == "cedar"
    assert initial["tracing"] == {"workflow_name": "w"}


async def test_tools_that_no_session_can_have() -> None:
    agent: RealtimeAgent[Any] = RealtimeAgent(name="Seeker", tools=[WebSearchTool()])
    session = RealtimeSession(agent, transport="websocket")
    with pytest.raises(InvalidRequest, match="web_search"):
        await session.get_initial_session_config()
