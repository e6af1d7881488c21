from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from offhook.errors import McpError, MissingExtra
from offhook.local import mcp
from offhook.local.mcp import McpClients
from offhook.protocol.mcp import McpServer
from tests.mcp_server import Tools, mcp_server
from tests.relays import hold, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

ROLL = '{"sides": 6}'
NOWHERE = "http://127.0.0.1:9/mcp"
GONE = {
    "type": "http_error",
    "code": 502,
    "message": "MCP server 'dice' could not be reached.",
}


def at(url: str, **fields: Any) -> McpServer:
    return McpServer.parse(
        {"type": "mcp", "server_label": "dice", "server_url": url, **fields}
    )


@asynccontextmanager
async def clients() -> AsyncIterator[McpClients]:
    """The clients, which must leave nothing behind."""
    async with McpClients() as clients:
        yield clients
    # The tests' server runs in the same loop.
    left = [repr(task) for task in asyncio.all_tasks()]
    assert [it for it in left if "offhook/local/mcp" in it or "mcp/client" in it] == []


async def failure(work: Any) -> dict[str, Any]:
    with pytest.raises(McpError) as caught:
        await work
    assert caught.value.message == caught.value.error["message"]
    return caught.value.error


@pytest.mark.parametrize("sse", [False, True])
async def test_tools_are_listed_as_an_item_shows_them(sse: bool) -> None:
    async with mcp_server(Tools(), sse=sse) as url, clients() as servers:
        tools = await servers.list_tools(at(url))
        capital, roll, fails, slow = tools
        assert capital["name"] == "get_capital"
        assert capital["annotations"] == {"readOnlyHint": True}
        assert roll.keys() == {"name", "description", "input_schema"}
        assert roll["description"] == "Roll a die."
        assert roll["input_schema"]["required"] == ["sides"]
        assert (fails["description"], slow["description"]) == ("", "")


async def test_only_what_is_allowed_is_listed() -> None:
    async with mcp_server(Tools()) as url, clients() as servers:
        tools = await servers.list_tools(at(url, allowed_tools=["fails"]))
        readers = await servers.list_tools(at(url, allowed_tools={"read_only": True}))
    assert [tool["name"] for tool in tools + readers] == ["fails", "get_capital"]


@pytest.mark.parametrize("sse", [False, True])
async def test_a_call_returns_the_text_of_the_result(sse: bool) -> None:
    async with mcp_server(Tools(), sse=sse) as url, clients() as servers:
        said = await servers.call(at(url), "roll_dice", ROLL)
        assert said == "You rolled 6 of 6."
        capital = await servers.call(at(url), "get_capital", '{"country": "France"}')
        assert '"Paris"' in capital


async def test_a_connection_is_kept() -> None:
    tools = Tools()
    async with mcp_server(tools) as url, clients() as servers:
        await asyncio.gather(*(servers.list_tools(at(url)) for _ in range(3)))
        connected = len(tools.requests)
        await servers.call(at(url, allowed_tools=[]), "roll_dice", ROLL)
        assert (connected, len(tools.requests)) == (4, 5)


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("fails", "", "The cat is on the keyboard."),
        ("vanish", "{}", "Unknown tool: vanish"),
        ("roll_dice", '{"sides": "x"}', "valid integer"),
    ],
)
async def test_a_tool_may_fail(name: str, arguments: str, says: str) -> None:
    async with mcp_server(Tools()) as url, clients() as servers:
        error = await failure(servers.call(at(url), name, arguments))
    assert error.keys() == {"type", "message"}
    assert error["type"] == "tool_execution_error"
    assert says in error["message"]


@pytest.mark.parametrize("arguments", ["{", "[]", "null"])
async def test_arguments_that_are_no_object_are_not_sent(arguments: str) -> None:
    async with clients() as servers:
        error = await failure(servers.call(at(NOWHERE), "roll_dice", arguments))
    assert (error["type"], error["code"]) == ("protocol_error", -32602)


@pytest.mark.parametrize("sse", [False, True])
async def test_a_server_may_want_a_token(
    sse: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with (
        mcp_server(Tools(), token="hunter22", sse=sse) as url,
        clients() as servers,
    ):
        good, bad = at(url, authorization="hunter22"), at(url, authorization="hunter23")
        assert await servers.call(good, "roll_dice", ROLL)
        error = await failure(servers.list_tools(bad))
        assert (error["type"], error["code"]) == ("http_error", 401)
        assert await servers.list_tools(good)
    assert "hunter" not in str(error) + caplog.text


@pytest.mark.parametrize("path", ["/mcp", "/sse"])
async def test_nobody_is_there(path: str) -> None:
    async with clients() as servers:
        error = await failure(servers.list_tools(at(f"http://127.0.0.1:9{path}")))
    assert error == GONE


async def test_what_is_there_is_no_mcp_server() -> None:
    async with mcp_server(Tools()) as url, clients() as servers:
        error = await failure(servers.list_tools(at(f"{url}/other")))
    assert (error["type"], error["code"]) == ("http_error", 404)


async def test_a_connector_is_not_to_be_had() -> None:
    async with clients() as servers:
        server = at(NOWHERE, server_url=None, connector_id="connector_gmail")
        error = await failure(servers.list_tools(server))
    assert error["type"] == "http_error"
    assert "connectors" in error["message"]


@pytest.mark.parametrize("sse", [False, True])
async def test_a_server_may_leave_and_come_back(sse: bool) -> None:
    async with clients() as servers:
        async with mcp_server(Tools(), sse=sse) as url:
            assert await servers.list_tools(at(url))
        error = await failure(servers.call(at(url), "roll_dice", ROLL))
        assert error == GONE
        port = urlsplit(url).port or 0
        async with mcp_server(Tools(), sse=sse, port=port):
            assert await servers.call(at(url), "roll_dice", ROLL)


@pytest.mark.parametrize("sse", [False, True])
async def test_a_server_may_leave_during_a_call(sse: bool) -> None:
    tools = Tools()
    async with clients() as servers:
        async with mcp_server(tools, sse=sse) as url:
            call = asyncio.create_task(servers.call(at(url), "slow", ""))
            await tools.called.wait()
        error = await failure(call)
    assert error == GONE


@pytest.mark.parametrize("sse", [False, True])
async def test_a_cancelled_call_is_stopped_at_the_server(sse: bool) -> None:
    tools = Tools()
    async with mcp_server(tools, sse=sse) as url, clients() as servers:
        call = asyncio.create_task(servers.call(at(url), "slow", ""))
        await tools.called.wait()
        call.cancel()
        await tools.stopped.wait()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await servers.call(at(url), "roll_dice", ROLL)


async def test_leaving_in_the_middle_of_a_call() -> None:
    tools = Tools()
    async with mcp_server(tools) as url:
        async with clients() as servers:
            call = asyncio.create_task(servers.call(at(url), "slow", ""))
            await tools.called.wait()
            call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await tools.stopped.wait()


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with mcp_server(Tools()) as url, clients() as servers:
        await servers.list_tools(at(url))
        with monkeypatch.context() as impatient:
            impatient.setattr(mcp, "_CALL_SECONDS", 0.2)
            error = await failure(servers.call(at(url), "slow", ""))
        assert (error["type"], error["code"]) == ("http_error", 504)
        assert await servers.call(at(url), "roll_dice", ROLL)


async def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp, "_LIST_SECONDS", 1)
    silent = serving(Starlette(routes=[Route("/mcp", hold, methods=["POST"])]))
    async with silent as url, clients() as servers:
        error = await failure(servers.list_tools(at(f"{url}/mcp")))
    assert (error["type"], error["code"]) == ("http_error", 504)


async def test_the_sdk_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    async with clients() as servers:
        with pytest.raises(MissingExtra, match=r"offhook\[local\]"):
            await servers.list_tools(at(NOWHERE))


def test_the_sdk_waits_for_the_first_server() -> None:
    script = "import sys, offhook.local.mcp; print({'mcp', 'httpx2'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
