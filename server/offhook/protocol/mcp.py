"""The MCP servers that a session names: where they are, and what is allowed there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from offhook.errors import redact
from offhook.protocol.validation import Strict, check


class ToolFilter(Strict):
    """Some of a server's tools: those that meet every criterion given."""

    tool_names: list[str] | None = None
    read_only: bool | None = None

    def matches(self, name: str, read_only: bool) -> bool:
        """Tell whether a tool is one of them."""
        named = self.tool_names is None or name in self.tool_names
        return named and self.read_only in (None, read_only)


class Approval(Strict):
    """Which tools the client has to approve of before each call."""

    always: ToolFilter | None = None
    never: ToolFilter | None = None


class McpTool(Strict):
    """Tools of an MCP server, as a session or a response names them."""

    type: Literal["mcp"]
    server_label: Annotated[str, Field(min_length=1)]
    server_url: Annotated[str, Field(pattern="^https?://")] | None = None
    connector_id: str | None = None
    tunnel_id: str | None = None
    server_description: str | None = None
    defer_loading: bool | None = None
    allowed_callers: list[Literal["direct", "programmatic"]] | None = None
    authorization: str | None = None
    headers: dict[str, str] | None = None
    allowed_tools: list[str] | ToolFilter | None = None
    require_approval: Literal["always", "never"] | Approval | None = None


_TOOL: TypeAdapter[McpTool] = TypeAdapter(McpTool)
_SECRET = ("authorization", "headers")


@dataclass(frozen=True)
class McpServer:
    """A server to list and to call.

    Attributes:
        url: Where it is; empty where the session names one of OpenAI's connectors.
        headers: Go with every request, and are secret.
        allowed: The tools that the model may see.
        approval: Which of them need the client's approval.
    """

    label: str
    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    allowed: ToolFilter = field(default_factory=ToolFilter)
    approval: Approval = field(default_factory=Approval)

    @classmethod
    def parse(cls, tool: dict[str, Any]) -> McpServer:
        """Read a tool of a session's or a response's.

        Raises:
            InvalidRequest: It is malformed.
        """
        given: McpTool = check(_TOOL, tool)
        headers = {name.lower(): value for name, value in (given.headers or {}).items()}
        if given.authorization:
            headers["authorization"] = f"Bearer {given.authorization}"
        allowed, approval = given.allowed_tools, given.require_approval
        if isinstance(allowed, list):
            allowed = ToolFilter(tool_names=allowed)
        if approval == "never":
            approval = Approval(never=ToolFilter())
        return cls(
            given.server_label,
            given.server_url or "",
            headers,
            allowed or ToolFilter(),
            approval if isinstance(approval, Approval) else Approval(),
        )

    def admits(self, tool: dict[str, Any]) -> bool:
        """Tell whether the model may see this tool of an `mcp_list_tools` item."""
        return self.allowed.matches(tool["name"], is_read_only(tool))

    def needs_approval(self, tool_name: str, *, read_only: bool = False) -> bool:
        """Tell whether the client has to approve of a call; as at OpenAI, by default.

        Args:
            tool_name: What is to be called.
            read_only: What `is_read_only` says of it.
        """
        always, never = self.approval.always, self.approval.never
        if always and always.matches(tool_name, read_only):
            return True
        return not (never and never.matches(tool_name, read_only))

    def redact(self, text: str) -> str:
        """Take what the headers say out of a text, unless it is too short for a key."""
        words = " ".join(self.headers.values()).split()
        return redact(text, *(word for word in words if len(word) >= 8))


def is_read_only(tool: dict[str, Any]) -> bool:
    """Tell whether a tool of an `mcp_list_tools` item says that it changes nothing."""
    return (tool.get("annotations") or {}).get("readOnlyHint") is True


def shown(tool: dict[str, Any]) -> dict[str, Any]:
    """Leave out what no event may show of a session's tool."""
    return {name: value for name, value in tool.items() if name not in _SECRET}
