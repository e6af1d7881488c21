"""The tools of MCP servers that the model's own side calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import HostedMCPTool, MCPToolApprovalRequest
from openai.types.responses.response_output_item import McpApprovalRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agents import MCPToolApprovalFunction, RunContextWrapper
    from agents.realtime import RealtimeAgent

    from offhook.protocol import transport_events as told


class McpTools:
    """What the servers list, and what of it an agent may use.

    Args:
        shared: The tools of the session's configuration, which all agents have.
    """

    def __init__(self, shared: Iterable[Mapping[str, Any]]) -> None:
        self._shared = [tool for tool in shared if tool.get("type") == "mcp"]
        self._listed: dict[str, tuple[dict[str, Any], ...]] = {}

    def take(self, listed: told.McpToolsListed) -> None:
        """Note what a server has now."""
        self._listed[listed.server_label] = listed.tools

    def of(self, agent: RealtimeAgent[Any]) -> list[dict[str, Any]]:
        """Return the tools that an agent may use, each with its `server_label`."""
        hosted = (server.tool_config for server in _hosted(agent))
        servers = {each["server_label"]: each for each in (*self._shared, *hosted)}
        return [
            {"server_label": label, **tool}
            for label, server in servers.items()
            for tool in self._listed.get(label, ())
            if _allowed(tool, server.get("allowed_tools"))
        ]


def decider(
    agent: RealtimeAgent[Any], server_label: str
) -> MCPToolApprovalFunction | None:
    """Return who decides about the calls of a server's tools, if a function does."""
    labelled = (s for s in _hosted(agent) if _label(s) == server_label)
    return next((server.on_approval_request for server in labelled), None)


def question(
    request: told.McpApprovalRequest, context: RunContextWrapper[Any], arguments: str
) -> MCPToolApprovalRequest:
    """Return an approval request as such a function takes it."""
    data = McpApprovalRequest(
        type="mcp_approval_request",
        id=request.item_id,
        server_label=request.server_label,
        name=request.name,
        arguments=arguments,
    )
    return MCPToolApprovalRequest(context, data)


def _hosted(agent: RealtimeAgent[Any]) -> Iterable[HostedMCPTool]:
    return (tool for tool in agent.tools if isinstance(tool, HostedMCPTool))


def _label(server: HostedMCPTool) -> str:
    return server.tool_config["server_label"]


def _allowed(tool: Mapping[str, Any], allowed: Any) -> bool:
    names = allowed.get("tool_names") if isinstance(allowed, dict) else allowed
    return names is None or tool.get("name") in names
