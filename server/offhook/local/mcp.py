"""Lists and calls the tools of a session's MCP servers."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from offhook.errors import McpError, OffhookError
from offhook.speech.optional import require

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    # Heavy, and an installation need not have them: imported for a session's first
    # MCP server only.
    import httpx2
    from mcp import Client, Tool
    from mcp.types import CallToolResult

    from offhook.protocol.mcp import McpServer

_CONNECT_SECONDS = 5  # an address that nobody has takes minutes to find out
_LIST_SECONDS = 10  # until then the model answers without the tools
_CALL_SECONDS = 60  # as patient as the official SDKs are with a request
_CLOSE_SECONDS = 2  # for a farewell that the server may not answer

# JSON-RPC 2.0, section 5.1, and the SDK's own code for a connection that has closed
_INVALID_PARAMS = -32602
_INTERNAL_ERROR = -32603
_CLOSED = -32000


class McpClients:
    """The MCP servers of one live session: connected to on first use, then kept.

    Use as an async context manager; leaving closes all connections.
    """

    def __init__(self) -> None:
        self._links: dict[tuple[str, frozenset[tuple[str, str]]], _Link] = {}
        self._held: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> McpClients:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for patience in (_CLOSE_SECONDS, None):
            for task in self._held:
                task.cancel()
            if self._held:
                await asyncio.wait(self._held, timeout=patience)

    async def list_tools(self, server: McpServer) -> list[dict[str, Any]]:
        """List the tools that the session allows, as an `mcp_list_tools` item does.

        Raises:
            McpError: The server cannot be asked.
            MissingExtra: The SDK is not installed.
        """
        tools: list[dict[str, Any]] = []
        async with self._client(server, _LIST_SECONDS) as client:
            page = await client.list_tools()
            tools += map(_listed, page.tools)
            while page.next_cursor:
                page = await client.list_tools(cursor=page.next_cursor)
                tools += map(_listed, page.tools)
        return [tool for tool in tools if server.admits(tool)]

    async def call(self, server: McpServer, name: str, arguments: str) -> str:
        """Call a tool, and return what it says.

        Cancelling tells the server to stop.

        Raises:
            McpError: The server cannot be asked, or the tool failed.
            MissingExtra: The SDK is not installed.
        """
        given = _parsed(arguments)
        async with self._client(server, _CALL_SECONDS) as client:
            result = await client.call_tool(name, given)
        if result.is_error:
            raise McpError("tool_execution_error", server.redact(_text(result)))
        return _text(result)

    @asynccontextmanager
    async def _client(self, server: McpServer, seconds: float) -> AsyncIterator[Client]:
        if not server.url:
            raise McpError(
                "http_error",
                f"MCP server '{server.label}': OpenAI's connectors are not to be had "
                "here; give a server_url.",
                404,
            )
        key = (server.url, frozenset(server.headers.items()))
        link = self._links.get(key)
        if link is None or link.task.done():
            link = self._links[key] = _Link(server)
            self._held.add(link.task)
            link.task.add_done_callback(self._held.discard)
        try:
            async with asyncio.timeout(seconds):
                yield await link.client()
        except OffhookError:
            raise
        except Exception as error:
            failure = _failure(error, link.status, server)
            # 404 also says that the server has forgotten this MCP session.
            if not link.is_open or failure.error.get("code") in (404, 502):
                link.task.cancel()
                if self._links.get(key) is link:
                    del self._links[key]
            raise failure from None


class _Link:
    """A connection, held open by a task of its own.

    Whoever enters the SDK's task groups has to leave them, but the first to use a
    connection is seldom the one that closes it.

    Attributes:
        status: The HTTP status of the last answer to a message.
    """

    def __init__(self, server: McpServer) -> None:
        self.status = 0
        self._client: Client | None = None
        self._error: Exception = ConnectionError("closed")
        self._settled = asyncio.Event()
        self.task = asyncio.create_task(self._hold(server))

    @property
    def is_open(self) -> bool:
        return self._client is not None

    async def client(self) -> Client:
        await self._settled.wait()
        if self._client is None:
            raise self._error
        return self._client

    async def _hold(self, server: McpServer) -> None:
        try:
            await asyncio.to_thread(require, "mcp", "mcp")
            async with self._connected(server) as self._client:
                self._settled.set()
                await asyncio.get_running_loop().create_future()  # until cancelled
        except Exception as error:
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            self._error = error
        finally:
            self._client = None
            self._settled.set()

    @asynccontextmanager
    async def _connected(self, server: McpServer) -> AsyncIterator[Client]:
        import httpx2
        from mcp import Client
        from mcp.client.sse import sse_client
        from mcp.client.streamable_http import streamable_http_client

        def http(*_: object, **__: object) -> httpx2.AsyncClient:
            return httpx2.AsyncClient(
                headers=server.headers,
                timeout=httpx2.Timeout(_CONNECT_SECONDS, read=None),
                event_hooks={"response": [self._note]},
            )

        if urlsplit(server.url).path.endswith("/sse"):
            transport = sse_client(server.url, httpx_client_factory=http)
            async with Client(transport, cache=None) as client:
                yield client
        else:
            async with (
                http() as own,
                Client(
                    streamable_http_client(server.url, http_client=own), cache=None
                ) as client,
            ):
                yield client

    async def _note(self, response: httpx2.Response) -> None:
        # The SDK's errors do not tell the status. A GET opens a stream that a server
        # need not have.
        if response.request.method == "POST":
            self.status = response.status_code


def _failure(error: Exception, status: int, server: McpServer) -> McpError:
    """Say what went wrong, without the URL or the headers, for both may be secret."""
    import httpx2
    from mcp import MCPError

    who = f"MCP server '{server.label}'"
    if isinstance(error, httpx2.HTTPStatusError):
        status = error.response.status_code
    if isinstance(error, TimeoutError):
        return McpError("http_error", f"{who} did not answer in time.", 504)
    if status >= 400:
        return McpError("http_error", f"{who} answered with HTTP {status}.", status)
    if isinstance(error, MCPError) and error.code != _CLOSED:
        return McpError("protocol_error", server.redact(error.message), error.code)
    if isinstance(error, RuntimeError | ValueError):
        return McpError(
            "protocol_error",
            f"{who} answered what MCP does not allow.",
            _INTERNAL_ERROR,
        )
    return McpError("http_error", f"{who} could not be reached.", 502)


def _listed(tool: Tool) -> dict[str, Any]:
    # @openai/agents-realtime overlooks a list if one of its tools lacks a description.
    item: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description or "",
        "input_schema": tool.input_schema,
    }
    if tool.annotations is not None:
        item["annotations"] = tool.annotations.model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
    return item


def _parsed(arguments: str) -> dict[str, Any]:
    try:
        given = json.loads(arguments or "{}")
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise McpError(
            "protocol_error", "The arguments are not a JSON object.", _INVALID_PARAMS
        )
    return given


def _text(result: CallToolResult) -> str:
    parts = [part.text for part in result.content if part.type == "text"]
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)
