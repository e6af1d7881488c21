"""MCP servers whose tools the model's own side calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from agents import HostedMCPTool, MCPToolApprovalFunctionResult, MCPToolApprovalRequest

from offhook.agent import RealtimeAgent, RealtimeSession
from offhook.errors import InvalidRequest
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from tests.agent.scripted import Told, scene
from tests.mcp_server import Tools, mcp_server

if TYPE_CHECKING:
    from agents import MCPToolApprovalFunction

    from tests.agent.scripted import Server

pytestmark = pytest.mark.anyio

NOWHERE = "https://mcp.example.com"


def hosted(
    label: str = "dice",
    url: str = NOWHERE,
    decide: MCPToolApprovalFunction | None = None,
    **fields: Any,
) -> HostedMCPTool:
    config: Any = {"type": "mcp", "server_label": label, "server_url": url, **fields}
    return HostedMCPTool(config, on_approval_request=decide)


def using(*servers: HostedMCPTool, **fields: Any) -> RealtimeAgent[Any]:
    return RealtimeAgent(name="Player", tools=[*servers], **fields)


async def listed(server: Server, label: str, *names: str) -> None:
    tools = [{"name": name, "input_schema": {}} for name in names]
    item = {"id": f"l_{label}", "type": "mcp_list_tools", "server_label": label}
    await server.say("conversation.item.done", item={**item, "tools": tools})


async def ask(server: Server, item_id: str = "mcpr_1") -> None:
    item = {"id": item_id, "type": "mcp_approval_request", "server_label": "dice"}
    item |= {"name": "roll_dice", "arguments": '{"sides": 6}'}
    await server.say("conversation.item.done", item=item)


async def test_a_tool_of_a_real_server(local_url: str) -> None:
    url = f"{local_url.replace('http', 'ws', 1)}/realtime?model=gpt-realtime"
    transport = OpenAIRealtimeWebSocket(url=url, api_key="sk-any")
    config = {"output_modalities": ["text"]}
    async with mcp_server(Tools()) as at:
        agent = using(hosted(url=at, allowed_tools=["roll_dice"]))
        async with RealtimeSession(agent, transport=transport, config=config) as it:
            told = Told(it)
            await it.connect()
            [tools] = await told.next("mcp_tools_changed")
            assert [(t["server_label"], t["name"]) for t in tools] == [
                ("dice", "roll_dice")
            ]
            assert it.available_mcp_tools == tools
            it.send_message("Roll a die with 6 sides.")
            _, _, request = await told.next("tool_approval_requested")
            assert (request.server_label, request.name) == ("dice", "roll_dice")
            assert json.loads(request.arguments) == {"sides": 6}
            await it.approve(request)
            _, agent, completed = await told.next("mcp_tool_call_completed")
            assert agent.name == "Player"
            assert completed.item["output"] == "You rolled 6 of 6."
            text = ""
            while "6" not in text:
                *_, text = await told.next("agent_end")
            kinds = [item["type"] for item in it.history]
            assert "mcp_call" in kinds
            [asked] = [i for i in it.history if i["type"] == "mcp_approval_request"]
            assert asked["approved"] is True


async def test_a_request_is_answered_beside_it() -> None:
    async with scene(using(hosted())) as it:
        server = await it.connect()
        await ask(server)
        _, _, request = await it.told.next("tool_approval_requested")
        with pytest.raises(InvalidRequest, match="one by one"):
            await it.session.approve(request, always=True)
        await it.session.reject(request, message="Bad luck.")
        created = await server.next("conversation.item.create")
        assert created["previous_item_id"] == "mcpr_1"
        assert created["item"] == {
            "type": "mcp_approval_response",
            "approval_request_id": "mcpr_1",
            "approve": False,
            "reason": "Bad luck.",
        }


@pytest.mark.parametrize("later", [False, True])
async def test_a_function_may_decide(later: bool) -> None:
    seen: list[MCPToolApprovalRequest] = []

    def decide(request: MCPToolApprovalRequest) -> MCPToolApprovalFunctionResult:
        seen.append(request)
        return {"approve": True}

    async def decide_later(
        request: MCPToolApprovalRequest,
    ) -> MCPToolApprovalFunctionResult:
        return decide(request)

    server_tool = hosted(decide=decide_later if later else decide)
    async with scene(using(server_tool), context={"luck": 1}) as it:
        server = await it.connect()
        await ask(server)
        created = await server.next("conversation.item.create")
        assert created["item"]["approve"] is True
        assert it.told.all("tool_approval_requested") == []
    [request] = seen
    assert request.ctx_wrapper.context == {"luck": 1}
    assert (request.data.name, request.data.id) == ("roll_dice", "mcpr_1")


async def test_what_an_agent_may_use_changes_with_the_agent() -> None:
    some: Any = {"tool_names": ["draw"]}
    other = RealtimeAgent[Any](
        name="Dealer", tools=[hosted("cards", allowed_tools=some)]
    )
    agent = using(hosted(), handoffs=[other])
    other_kind = {"type": "of another kind"}
    shared = {"type": "mcp", "server_label": "all", "server_url": NOWHERE}
    config = {"tools": [other_kind, shared]}
    async with scene(agent, config=config) as it:
        server = await it.connect()
        update = await server.next("session.update")
        names = [
            t.get("server_label", t.get("name")) for t in update["session"]["tools"]
        ]
        assert names == [None, "all", "dice", "transfer_to_dealer"]
        for label in ("dice", "cards", "all"):
            await listed(server, label, "roll", "draw")
            if label != "cards":  # which are the other's
                await it.told.next("mcp_tools_changed")
        tools = [(t["server_label"], t["name"]) for t in it.session.available_mcp_tools]
        everywhere = [("all", "roll"), ("all", "draw")]
        assert tools == [*everywhere, ("dice", "roll"), ("dice", "draw")]
        await it.session.update_agent(other)
        [tools_now] = await it.told.next("mcp_tools_changed")
        pairs = [(t["server_label"], t["name"]) for t in tools_now]
        assert pairs == [*everywhere, ("cards", "draw")]
        tools_sent: list[Any] = []
        while len(tools_sent) != 3:
            session = (await server.next("session.update"))["session"]
            tools_sent = session.get("tools", [])
        assert [t["server_label"] for t in tools_sent[1:]] == ["all", "cards"]


@pytest.mark.parametrize("asks", [True, False])
async def test_an_answer_to_what_a_tool_gave_is_asked_for(asks: bool) -> None:
    options = {"automatically_trigger_response_for_mcp_tool_calls": asks}
    async with scene(using(hosted()), **options) as it:
        server = await it.connect()
        item = {"id": "mcp_1", "type": "mcp_call", "server_label": "dice"}
        item |= {"name": "roll", "arguments": "{}", "output": "6"}
        await server.say("conversation.item.done", item=item)
        await it.told.next("mcp_tool_call_completed")
        await it.settled(server)
        assert ("response.create" in server.kinds()) is asks
