"""Tools that wait for consent."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from agents import ToolGuardrailFunctionOutput, function_tool, tool_input_guardrail

from offhook.agent import RealtimeAgent, ToolApprovalRequest
from offhook.agent.approvals import Approvals
from offhook.errors import InvalidRequest
from offhook.protocol.transport_events import McpApprovalRequest
from tests.agent.scripted import PARIS, scene

if TYPE_CHECKING:
    from tests.agent.scripted import Scene, Server

pytestmark = pytest.mark.anyio


@function_tool(needs_approval=True)
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"It is sunny in {city}."


def careful(**fields: Any) -> RealtimeAgent[Any]:
    return RealtimeAgent(name="Careful", tools=[get_weather], **fields)


async def asked(
    it: Scene, server: Server, call_id: str = "c1", response_id: str = "r1"
) -> ToolApprovalRequest:
    await server.turn((*PARIS[:2], call_id), response_id=response_id)
    _, _, request = await it.told.next("tool_approval_requested")
    assert isinstance(request, ToolApprovalRequest)
    return request


async def output(server: Server) -> str:
    text: str = (await server.next("conversation.item.create"))["item"]["output"]
    await server.next("response.create")
    return text


async def test_what_is_approved_is_run() -> None:
    async with scene(careful()) as it:
        server = await it.connect()
        request = await asked(it, server)
        assert (request.id, request.name) == ("c1", "get_weather")
        assert request.arguments == PARIS[1]
        assert (request.tool, request.server_label) == (get_weather, None)
        await it.session.approve(request)
        assert await output(server) == "It is sunny in Paris."
        names = [name for name in it.told.names if "tool" in name]
        assert names == [
            "tool_approval_requested",
            "agent_tool_start",
            "agent_tool_end",
        ]


async def test_it_can_be_approved_where_it_is_asked() -> None:
    async with scene(careful()) as it:
        server = await it.connect()

        async def consent(_: Any, __: Any, request: ToolApprovalRequest) -> None:
            await it.session.approve(request)

        it.session.on("tool_approval_requested", consent)
        await server.turn(PARIS, response_id="r1")
        assert await output(server) == "It is sunny in Paris."


@pytest.mark.parametrize(
    ("message", "formatter", "told"),
    [
        (None, None, "Tool execution was not approved."),
        ("Ask again later.", None, "Ask again later."),
        ("", lambda _: "Formatted.", ""),
        (None, lambda args: f"{args.tool_name}: no.", "get_weather: no."),
    ],
)
async def test_what_is_rejected_is_told(
    message: str | None, formatter: Any, told: str
) -> None:
    async with scene(careful(), tool_error_formatter=formatter) as it:
        server = await it.connect()
        await it.session.reject(await asked(it, server), message=message)
        assert await output(server) == told
        *_, text, call = await it.told.next("agent_tool_end")
        assert (text, call.call_id) == (told, "c1")
        names = [name for name in it.told.names if name.startswith("agent_tool")]
        assert names == ["agent_tool_start", "agent_tool_end"]


async def test_a_decision_may_hold_for_the_rest_of_the_connection() -> None:
    async with scene(careful()) as it:
        server = await it.connect()
        await it.session.approve(await asked(it, server), always=True)
        assert await output(server) == "It is sunny in Paris."
        await server.turn((*PARIS[:2], "c2"), response_id="r2")
        assert await output(server) == "It is sunny in Paris."
        await it.session.close()
        server = await it.connect()
        again = await asked(it, server)
        await it.session.reject(again, message="No.", always=True)
        assert await output(server) == "No."
        await server.turn((*PARIS[:2], "c2"), response_id="r2")
        assert await output(server) == "No."


async def test_a_request_is_answered_once_and_only_as_it_was() -> None:
    async with scene(careful()) as it:
        server = await it.connect()
        request = await asked(it, server)
        changed = replace(request, arguments='{"city": "Rome"}')
        with pytest.raises(InvalidRequest, match="not open"):
            await it.session.approve(changed)
        await it.session.approve(request)
        for decide in (it.session.approve, it.session.reject):
            with pytest.raises(InvalidRequest, match="not open"):
                await decide(request)


async def test_a_request_ends_with_its_connection() -> None:
    async with scene(careful()) as it:
        request = ToolApprovalRequest("c1", "get_weather", "{}")
        with pytest.raises(InvalidRequest, match="no connection"):
            await it.session.approve(request)
        server = await it.connect()
        request = await asked(it, server)
        await it.session.close()
        with pytest.raises(InvalidRequest, match="connection has ended"):
            await it.session.approve(request)
        server = await it.connect()
        # The same call again: the new request is another one.
        again = await asked(it, server)
        with pytest.raises(InvalidRequest, match="connection has ended"):
            await it.session.approve(request)
        await it.session.approve(again)
        assert await output(server) == "It is sunny in Paris."


async def test_a_request_ends_where_the_connection_is_lost() -> None:
    async with scene(careful()) as it:
        server = await it.connect()
        request = await asked(it, server)
        lost = asyncio.Event()
        it.session.transport.on("disconnected", lost.set)
        await server.hang_up()
        async with asyncio.timeout(20):
            await lost.wait()
        with pytest.raises(InvalidRequest, match="connection has ended"):
            await it.session.approve(request)


def test_a_session_that_comes_back_has_the_calls_but_no_requests_of_servers() -> None:
    approvals = Approvals()
    asked: Any = SimpleNamespace(call_id="c1", tool=get_weather, arguments="{}")
    call = approvals.tool(asked)
    hosted = approvals.mcp(McpApprovalRequest("mcpr_1", "dice", "roll", {"sides": 6}))
    assert hosted.arguments == '{"sides": 6}'
    approvals.check(hosted)
    approvals.void(hosted=True)
    approvals.check(call)
    with pytest.raises(InvalidRequest, match="not open"):
        approvals.check(hosted)
    approvals.void()
    with pytest.raises(InvalidRequest, match="not open"):
        approvals.check(call)


async def test_an_approved_call_is_still_that_of_the_agent_who_made_it() -> None:
    bee: RealtimeAgent[Any] = RealtimeAgent(name="Bee")
    async with scene(careful(handoffs=[bee])) as it:
        server = await it.connect()
        request = await asked(it, server)
        await server.turn(("transfer_to_bee", "{}", "c2"), response_id="r2")
        assert await output(server) == '{"assistant": "Bee"}'
        await server.turn(response_id="r3")
        await it.session.approve(request)
        assert await output(server) == "It is sunny in Paris."
        assert it.told.all("agent_tool_end")[0][1].name == "Careful"


@tool_input_guardrail
def no_rome(data: Any) -> ToolGuardrailFunctionOutput:
    """Refuse Rome."""
    if "Rome" in data.context.tool_arguments:
        return ToolGuardrailFunctionOutput.reject_content("Not Rome.")
    return ToolGuardrailFunctionOutput.allow()


async def test_guardrails_may_come_before_the_request() -> None:
    @function_tool(needs_approval=True, tool_input_guardrails=[no_rome])
    def go_to(city: str) -> str:
        """Go to a city."""
        return f"Off to {city}."

    agent: RealtimeAgent[Any] = RealtimeAgent(name="Guide", tools=[go_to])
    execution = {"pre_approval_tool_input_guardrails": True}
    async with scene(agent, tool_execution=execution) as it:
        server = await it.connect()
        await server.turn(("go_to", '{"city": "Rome"}', "c1"), response_id="r1")
        assert await output(server) == "Not Rome."
        assert it.told.all("tool_approval_requested") == []


async def test_a_policy_asks_where_it_cannot_judge() -> None:
    async def only_abroad(_: Any, arguments: dict[str, Any], __: str) -> bool:
        return bool(arguments["city"] != "Paris")

    @function_tool(needs_approval=only_abroad)
    def go_to(city: str) -> str:
        """Go to a city."""
        return f"Off to {city}."

    agent: RealtimeAgent[Any] = RealtimeAgent(name="Guide", tools=[go_to])
    async with scene(agent) as it:
        server = await it.connect()
        await server.turn(("go_to", '{"city": "Paris"}', "c1"), response_id="r1")
        assert await output(server) == "Off to Paris."
        await server.turn(("go_to", '{"city":', "c2"), response_id="r2")
        _, _, request = await it.told.next("tool_approval_requested")
        await it.session.approve(request)
        assert "error occurred" in await output(server)
