"""Calls of tools that wait for somebody's consent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from offhook.errors import InvalidRequest

if TYPE_CHECKING:
    from agents.realtime import RealtimeToolApprovalRequired
    from agents.tool import Tool

    from offhook.protocol.transport_events import McpApprovalRequest


@dataclass(frozen=True, eq=False)
class ToolApprovalRequest:
    """`tool_approval_requested`: answer it with `approve` or `reject`.

    Attributes:
        id: The call's; with an MCP server, the request's.
        arguments: JSON, as the model wrote it.
        tool: The agent's; None with an MCP server.
        server_label: The MCP server; None with a tool of the agent's.
    """

    id: str
    name: str
    arguments: str
    tool: Tool | None = None
    server_label: str | None = None


class Approvals:
    """The requests of one connection that are open."""

    def __init__(self) -> None:
        self._open: dict[str, ToolApprovalRequest] = {}

    def tool(self, asked: RealtimeToolApprovalRequired) -> ToolApprovalRequest:
        """Open a request for a tool of the agent's."""
        request = ToolApprovalRequest(
            asked.call_id, asked.tool.name, asked.arguments, tool=asked.tool
        )
        return self._add(request)

    def mcp(self, asked: McpApprovalRequest) -> ToolApprovalRequest:
        """Open a request for a tool of an MCP server."""
        request = ToolApprovalRequest(
            asked.item_id,
            asked.name,
            json.dumps(asked.arguments, ensure_ascii=False),
            server_label=asked.server_label,
        )
        return self._add(request)

    def check(self, request: ToolApprovalRequest) -> None:
        """Make sure that a request is open.

        Raises:
            InvalidRequest: It is not, any more.
        """
        if self._open.get(request.id) is not request:
            raise InvalidRequest(
                f"The request about '{request.name}' is not open: it has been "
                "answered, or its connection has ended.",
                code="stale_approval",
            )

    def settle(self, request: ToolApprovalRequest) -> None:
        """Close a request that is answered."""
        self._open.pop(request.id, None)

    def void(self, *, hosted: bool = False) -> None:
        """Close all requests, or only those of MCP servers."""
        kept = self._open if hosted else {}
        self._open = {i: r for i, r in kept.items() if r.server_label is None}

    def _add(self, request: ToolApprovalRequest) -> ToolApprovalRequest:
        self._open[request.id] = request
        return request
