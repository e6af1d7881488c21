"""Tools: each call is answered once, whatever becomes of the tool."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from agents import FunctionTool, function_tool
from agents.realtime import realtime_handoff

from offhook.agent import RealtimeAgent
from offhook.protocol.reconnect import Reconnect
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from tests.agent.scripted import PARIS, Scene, Server, get_weather, scene
from tests.transports.conformance import scripted

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

pytestmark = pytest.mark.anyio

FAILED = "An error occurred while running the tool. Please try again."


def agent_with(*tools: Any, **fields: Any) -> RealtimeAgent[Any]:
    return RealtimeAgent(name="Greeter", tools=[*tools], **fields)


async def answer(server: Server) -> str:
    """Wait for a tool's output; the model is asked for what it says to that."""
    item = (await server.next("conversation.item.create"))["item"]
    assert item["type"] == "function_call_output"
    await server.next("response.create")
    output: str = item["output"]
    return output


async def test_a_tool_is_run_and_answered() -> None:
    async with scene() as it:
        server = await it.connect()
        await server.turn(PARIS, response_id="r1")
        assert await answer(server) == "It is sunny in Paris."
        context, agent, tool, call = it.told.all("agent_tool_start")[0]
        assert (agent.name, tool.name) == ("Greeter", "get_weather")
        assert (call.call_id, call.response_id, call.id) == ("c1", "r1", "item_c1")
        assert context is it.session.context
        *_, output, ended = await it.told.next("agent_tool_end")
        assert output == "It is sunny in Paris."
        assert ended is call


async def test_the_tools_of_one_response_run_together_and_get_one_answer() -> None:
    started = asyncio.Semaphore(0)
    both = asyncio.Event()

    @function_tool
    async def wait(name: str) -> str:
        """Wait for the other one."""
        started.release()
        await both.wait()
        return name

    async with scene(agent_with(wait)) as it:
        server = await it.connect()
        calls = [("wait", f'{{"name": "{name}"}}', name) for name in "ab"]
        await server.turn(*calls, response_id="r1")
        async with asyncio.timeout(20):
            await started.acquire()
            await started.acquire()
        both.set()
        for _ in calls:
            *_, output, call = await it.told.next("agent_tool_end")
            assert call.call_id == output
        await server.next("response.create")
        await it.settled(server)
        kinds = server.kinds()[-3:]
        assert kinds == [*["conversation.item.create"] * 2, "response.create"]


async def broken(_: Any, __: str) -> str:
    raise ValueError("the database is gone")


async def given_up(_: Any, __: str) -> str:
    raise asyncio.CancelledError


def raw(run: Any, **fields: Any) -> FunctionTool:
    return FunctionTool("get_weather", "", {"type": "object"}, run, **fields)


@pytest.mark.parametrize(
    ("run", "reason"),
    [(broken, "the database is gone"), (given_up, "was cancelled")],
)
async def test_a_tool_that_fails_is_answered_and_ends_nothing(
    run: Any, reason: str
) -> None:
    async with scene(agent_with(raw(run))) as it:
        server = await it.connect()
        await server.turn(PARIS, response_id="r1")
        assert await answer(server) == FAILED
        [error] = await it.told.next("error")
        assert reason in str(error.error)
        await server.turn(("get_weather", "{}", "c2"), response_id="r2")
        assert await answer(server) == FAILED


async def test_malformed_arguments_are_answered() -> None:
    async with scene() as it:
        server = await it.connect()
        await server.turn(("get_weather", '{"city":', "c1"), response_id="r1")
        assert "error occurred" in await answer(server)

    async def strict(_: Any, arguments: str) -> str:
        raise ValueError(arguments)

    async with scene(agent_with(raw(strict))) as it:
        server = await it.connect()
        await server.turn(("get_weather", '{"city":', "c1"), response_id="r1")
        assert await answer(server) == FAILED


@pytest.mark.parametrize("raises", [False, True])
async def test_a_tool_that_takes_too_long_is_answered(raises: bool) -> None:
    async def endless(_: Any, __: str) -> str:
        await asyncio.Event().wait()
        return ""

    behaviour: Any = "raise_exception" if raises else "error_as_result"
    tool = raw(endless, timeout_seconds=0.01, timeout_behavior=behaviour)
    async with scene(agent_with(tool)) as it:
        server = await it.connect()
        await server.turn(PARIS, response_id="r1")
        output = await answer(server)
        assert (output == FAILED) is raises
        assert len(it.told.all("error")) == raises
        if not raises:
            assert "timed out" in output


async def test_an_unknown_tool_is_answered_and_nothing_asked() -> None:
    async with scene() as it:
        server = await it.connect()
        await server.turn(("nope", "{}", "c1"), response_id="r1")
        item = (await server.next("conversation.item.create"))["item"]
        assert item["output"] == "Tool nope not found"
        [error] = await it.told.next("error")
        assert error.error["message"] == "Tool nope not found"
        await it.settled(server)
        assert "response.create" not in server.kinds()


async def test_a_call_that_comes_again_is_not_run_again() -> None:
    ran: list[str] = []

    @function_tool
    def note(what: str) -> str:
        """Note something."""
        ran.append(what)
        return "noted"

    async with scene(agent_with(note)) as it:
        server = await it.connect()
        await server.turn(("note", '{"what": "a"}', "c1"), response_id="r1")
        assert await answer(server) == "noted"
        await it.told.next("agent_tool_end")
        await server.turn(("note", '{"what": "a"}', "c1"), response_id="r2")
        await server.turn(("note", '{"what": "b"}', "c1"), response_id="r3")
        [error] = await it.told.next("error")
        assert "reused" in str(error.error)
        await it.settled(server)
        assert server.kinds().count("conversation.item.create") == 1
    assert ran == ["a"]


async def test_a_handoff_to_an_agent_without_tools() -> None:
    bee: RealtimeAgent[Any] = RealtimeAgent(name="Bee Two", instructions="Hum.")
    async with scene(agent_with(get_weather, handoffs=[bee])) as it:
        server = await it.connect()
        await server.turn(("transfer_to_bee_two", "{}", "c1"), response_id="r1")
        _, previous, agent = await it.told.next("agent_handoff")
        assert (previous.name, agent.name) == ("Greeter", "Bee Two")
        assert it.session.current_agent is bee
        session: dict[str, Any] = {}
        while session.get("instructions") != "Hum.":
            session = (await server.next("session.update"))["session"]
        assert session["tools"] == []
        assert await answer(server) == '{"assistant": "Bee Two"}'
        await server.turn(("get_weather", "{}", "c2"), response_id="r2")
        item = (await server.next("conversation.item.create"))["item"]
        assert item["output"] == "Tool get_weather not found"
    names = [agent.name for _, agent in it.told.all("agent_start")]
    ends = [agent.name for _, agent, _ in it.told.all("agent_end")]
    assert names == ends == ["Greeter", "Bee Two"]


async def test_what_comes_after_a_handoff_in_a_response_is_the_old_agents() -> None:
    bee: RealtimeAgent[Any] = RealtimeAgent(name="Bee")
    async with scene(agent_with(get_weather, handoffs=[bee])) as it:
        server = await it.connect()
        await server.begin("r1")
        first = await server.call("transfer_to_bee", call_id="c1")
        # As late as it can be: all that the handoff could have done is done.
        await it.settled(server)
        await server.call(*PARIS[:2], call_id="c2")
        await server.end("r1", first)
        *_, output, _ = await it.told.first("agent_tool_end")
        assert output == "It is sunny in Paris."
        await it.told.first("agent_handoff")
        assert it.told.all("error") == []


async def test_what_tools_gave_before_a_handoff_is_for_the_next_agent() -> None:
    bee: RealtimeAgent[Any] = RealtimeAgent(name="Bee", instructions="Hum.")
    async with scene(agent_with(get_weather, handoffs=[bee])) as it:
        server = await it.connect()
        await server.begin("r1")
        first = await server.call(*PARIS[:2], call_id="c1")
        await it.told.next("agent_tool_end")
        second = await server.call("transfer_to_bee", call_id="c2")
        await it.settled(server)
        since = len(server.heard)
        await server.end("r1", first, second)
        await server.next("response.create")
        await it.settled(server)
        assert server.kinds(since=since) == [
            "session.update",
            "conversation.item.create",
            "response.create",
        ]


async def test_what_a_tool_gives_during_a_handoff_is_for_the_next_agent() -> None:
    ended, handed_over = asyncio.Event(), asyncio.Event()

    async def hand_over(_: Any) -> None:
        await handed_over.wait()

    @function_tool
    async def wait() -> str:
        """Wait for the end of the response."""
        await ended.wait()
        return "waited"

    bee: RealtimeAgent[Any] = RealtimeAgent(name="Bee", instructions="Hum.")
    handoff = realtime_handoff(bee, on_handoff=hand_over)
    async with scene(agent_with(wait, handoffs=[handoff])) as it:
        server = await it.connect()
        calls = [("wait", "{}", "c1"), ("transfer_to_bee", "{}", "c2")]
        await server.turn(*calls, response_id="r1")
        await it.told.next("agent_end")
        await it.settled(server)
        since = len(server.heard)
        ended.set()
        await server.next("conversation.item.create")
        handed_over.set()
        await server.next("response.create")
        await it.settled(server)
        assert server.kinds(since=since) == [
            "conversation.item.create",
            "session.update",
            "conversation.item.create",
            "response.create",
        ]


async def test_a_handoff_that_is_off_by_then_leaves_no_silence() -> None:
    enabled = [True]
    bee: RealtimeAgent[Any] = RealtimeAgent(name="Bee")
    handoff = realtime_handoff(bee, is_enabled=lambda *_: enabled[0])
    async with scene(agent_with(get_weather, handoffs=[handoff])) as it:
        server = await it.connect()
        enabled[0] = False
        await server.begin("r1")
        first = await server.call(*PARIS[:2], call_id="c1")
        await it.told.next("agent_tool_end")
        second = await server.call("transfer_to_bee", call_id="c2")
        await it.settled(server)
        assert "response.create" not in server.kinds()
        await server.end("r1", first, second)
        await server.next("response.create")
        [error] = await it.told.first("error")
        assert "not found" in error.error["message"]
        await it.settled(server)
        assert server.kinds().count("response.create") == 1


async def test_a_tool_that_ends_after_its_connection_is_no_error() -> None:
    begun, go, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(_: Any, __: str) -> str:
        begun.set()
        await go.wait()
        ended.set()
        return "too late"

    async with scene(agent_with(raw(slow))) as it:
        server = await it.connect()
        await server.turn(PARIS, response_id="r1")
        lost = asyncio.Event()
        it.session.transport.on("disconnected", lost.set)
        async with asyncio.timeout(20):
            await begun.wait()
            await server.hang_up(1000)
            await lost.wait()
            go.set()
            await ended.wait()
        server = await it.connect()
        await it.settled(server)
        assert it.told.all("error") == []


async def test_a_handoff_that_fails_is_answered() -> None:
    def refuse(_: Any) -> None:
        raise ValueError("nobody is there")

    bee: RealtimeAgent[Any] = RealtimeAgent(name="Bee")
    handoff = realtime_handoff(bee, on_handoff=refuse)
    async with scene(agent_with(handoffs=[handoff])) as it:
        server = await it.connect()
        await server.turn(("transfer_to_bee", "{}", "c1"), response_id="r1")
        assert await answer(server) == FAILED
        assert it.session.current_agent.name == "Greeter"


async def test_a_tool_may_hang_up() -> None:
    done = asyncio.Event()
    scenes: list[Scene] = []

    @function_tool
    async def hang_up() -> str:
        """End the call."""
        await scenes[0].session.close()
        done.set()
        return "bye"

    async with scene(agent_with(hang_up)) as it:
        scenes.append(it)
        server = await it.connect()
        await server.turn(("hang_up", "{}", "c1"), response_id="r1")
        async with asyncio.timeout(20):
            await done.wait()
        assert it.session.transport.status == "disconnected"
        server = await it.connect()
        await it.settled(server)


async def test_hanging_up_ends_the_tools() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    @function_tool
    async def endless() -> str:
        """Never end."""
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    async with scene(agent_with(endless)) as it:
        server = await it.connect()
        await server.turn(("endless", "{}", "c1"), response_id="r1")
        async with asyncio.timeout(20):
            await begun.wait()
        await it.session.close()
        assert ended.is_set()
        assert it.told.all("error") == []


async def test_a_tool_that_ends_while_the_connection_comes_back_is_answered() -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    servers: asyncio.Queue[Server] = asyncio.Queue()

    @function_tool
    async def slow() -> str:
        """Take long."""
        begun.set()
        await go.wait()
        return "at last"

    async def script(connection: ServerConnection) -> None:
        server = Server(connection)
        if servers.empty() and not begun.is_set():
            await server.turn(("slow", "{}", "c1"), response_id="r1")
            await begun.wait()
            await connection.close(1011)
        else:
            servers.put_nowait(server)
            await server.listen()

    async with scripted(script) as url:
        transport = OpenAIRealtimeWebSocket(
            url=url, api_key="sk-any", reconnect=Reconnect(seconds=0.01)
        )
        async with scene(agent_with(slow), transport=transport) as it:
            transport.on("reconnecting", lambda _: go.set())
            await it.session.connect()
            async with asyncio.timeout(20):
                server = await servers.get()
            created = await server.next("conversation.item.create")
            while created["item"]["type"] != "function_call_output":
                created = await server.next("conversation.item.create")
            assert created["item"]["output"] == "at last"
