"""A real MCP server with a few tools."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from starlette.responses import PlainTextResponse

from tests.relays import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Receive, Scope, Send


class Tools:
    """What the server offers.

    Attributes:
        called: Set when `slow` has been called.
        stopped: Set when `slow` was told to stop.
        requests: The methods of the HTTP requests so far.
    """

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.stopped = asyncio.Event()
        self.requests: list[str] = []

    def roll_dice(self, sides: int) -> str:
        """Roll a die."""
        return f"You rolled {sides} of {sides}."

    def get_capital(self, country: str) -> dict[str, str]:
        """Name the capital of a country."""
        return {"country": country, "capital": {"France": "Paris"}[country]}

    async def fails(self) -> None:
        raise ToolError("The cat is on the keyboard.")

    async def slow(self) -> None:
        self.called.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.stopped.set()


@asynccontextmanager
async def mcp_server(
    tools: Tools, *, token: str | None = None, sse: bool = False, port: int = 0
) -> AsyncIterator[str]:
    """Serve the tools, and give the URL of the MCP endpoint."""
    server = MCPServer("tests", log_level="ERROR")
    server.tool(annotations=ToolAnnotations(read_only_hint=True))(tools.get_capital)
    for tool in (tools.roll_dice, tools.fails, tools.slow):
        server.tool()(tool)
    app = server.sse_app() if sse else server.streamable_http_app()
    async with serving(_guarded(app, token, tools.requests), port=port) as url:
        yield f"{url}/sse" if sse else f"{url}/mcp"


def _guarded(app: ASGIApp, token: str | None, requests: list[str]) -> ASGIApp:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            requests.append(scope["method"])
            given = dict(scope["headers"]).get(b"authorization", b"").decode()
            if token is not None and given != f"Bearer {token}":
                await PlainTextResponse(given, 401)(scope, receive, send)
                return
        await app(scope, receive, send)

    return guarded
