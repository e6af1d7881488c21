from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agents.realtime import RealtimeAgentHooks

from offhook.agent import RealtimeAgent
from offhook.agent.hooks import hook_of
from tests.agent.scripted import PARIS, get_weather, scene

pytestmark = pytest.mark.anyio


class Noting(RealtimeAgentHooks[Any]):
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.handed_over = asyncio.Event()

    async def on_start(self, context: Any, agent: Any) -> None:
        self.calls.append(("start", agent.name))

    async def on_end(self, context: Any, agent: Any, output: Any) -> None:
        self.calls.append(("end", agent.name, output))

    async def on_handoff(self, context: Any, agent: Any, source: Any) -> None:
        self.calls.append(("handoff", source.name, agent.name))
        self.handed_over.set()

    async def on_tool_start(self, context: Any, agent: Any, tool: Any) -> None:
        self.calls.append(("tool start", tool.name))

    async def on_tool_end(
        self, context: Any, agent: Any, tool: Any, result: object
    ) -> None:
        self.calls.append(("tool end", tool.name, result))
        raise ValueError("a hook is broken")


async def test_hooks_are_called_and_their_failures_told() -> None:
    hooks = Noting()
    bee: RealtimeAgent[Any] = RealtimeAgent(name="Bee", hooks=hooks)
    agent: RealtimeAgent[Any] = RealtimeAgent(
        name="Greeter", hooks=hooks, tools=[get_weather], handoffs=[bee]
    )
    async with scene(agent) as it:
        server = await it.connect()
        await server.turn(PARIS, response_id="r1")
        [error] = await it.told.next("error")
        assert str(error.error) == "a hook is broken"
        await it.session.update_agent(bee)
        async with asyncio.timeout(20):
            await hooks.handed_over.wait()
    assert hooks.calls == [
        ("start", "Greeter"),
        ("end", "Greeter", ""),
        ("tool start", "get_weather"),
        ("tool end", "get_weather", "It is sunny in Paris."),
        ("handoff", "Greeter", "Bee"),
    ]


def test_without_hooks_there_is_nothing_to_call() -> None:
    agent: RealtimeAgent[Any] = RealtimeAgent(name="Greeter")
    assert hook_of("agent_start", (None, agent)) is None
    assert hook_of("audio_start", (None, agent)) is None
