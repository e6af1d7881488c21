"""What one response is to be: the session's settings, and what its request changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest
from offhook.protocol.prompt import Prompt, Tool, ToolCall, ToolOutput, Turn

if TYPE_CHECKING:
    from offhook.protocol.mcp_tools import McpTools
    from offhook.protocol.output import Modality
    from offhook.protocol.session_config import Session


@dataclass(frozen=True)
class Request:
    """A response as it was asked for.

    Attributes:
        session: The effective session when it was asked for.
        params: The `response` of the `response.create`.
    """

    session: Session
    params: dict[str, Any]

    @property
    def apart(self) -> bool:
        """Whether it stays out of the conversation."""
        return bool(self.params.get("conversation") == "none")

    @property
    def modality(self) -> Modality:
        """Whether the answer is spoken."""
        modalities = self._setting("output_modalities")
        return "text" if modalities == ["text"] else "audio"

    @property
    def output(self) -> dict[str, Any]:
        """`audio.output`: format, voice and speed."""
        given = (self.params.get("audio") or {}).get("output") or {}
        present = {k: v for k, v in given.items() if v is not None}
        if isinstance(present.get("voice"), dict):
            present["voice"] = present["voice"]["id"]
        return {**self.session["audio"]["output"], **present}

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tools, as the client describes them."""
        return list(self._setting("tools"))

    def response(self, response_id: str, conversation_id: str) -> dict[str, Any]:
        """Return what the response object says from its beginning to its end."""
        output = self.output
        return {
            "id": response_id,
            "conversation_id": None if self.apart else conversation_id,
            "output_modalities": [self.modality],
            "max_output_tokens": self._setting("max_output_tokens"),
            "audio": {"output": {k: output[k] for k in ("format", "voice")}},
            "metadata": self.params.get("metadata"),
        }

    def check(self) -> None:
        """Refuse a tool choice that this request itself makes impossible.

        Raises:
            InvalidRequest: The function is not among the tools.
        """
        choice = self.params.get("tool_choice")
        if isinstance(choice, dict) and choice["type"] == "function":
            names = [tool.get("name") for tool in self.tools]
            if choice["name"] not in names:
                raise InvalidRequest(
                    f"Tool choice '{choice['name']}' is not among the tools.",
                    code="invalid_value",
                    param="response.tool_choice",
                )

    def prompt(
        self, turns: tuple[Turn | ToolCall | ToolOutput, ...], mcp: McpTools
    ) -> Prompt:
        """Return what the responder gets."""
        instructions = self.params.get("instructions")
        tools, must_call = self._callable(mcp)
        return Prompt(
            instructions=self.session["instructions"]
            if instructions is None
            else instructions,
            turns=turns,
            tools=tools,
            must_call=must_call,
            parallel=self.parallel,
        )

    @property
    def parallel(self) -> bool:
        """Whether several tools may be called at once."""
        given = self.params.get("parallel_tool_calls")
        return bool(
            self.session.get("parallel_tool_calls", True) if given is None else given
        )

    def server_of(self, name: str, mcp: McpTools) -> str | None:
        """Return the label of the MCP server whose tool this is; None for a function.

        Raises:
            KeyError: There is no such tool.
        """
        if any(tool.get("name") == name for tool in self.tools):
            return None
        servers = {t.name: server.label for server, t in mcp.offered(self.tools)}
        return servers[name]

    def _callable(self, mcp: McpTools) -> tuple[tuple[Tool, ...], bool]:
        choice = self._setting("tool_choice")
        functions = [tool for tool in self.tools if tool["type"] == "function"]
        tools = {tool.name: tool for _, tool in mcp.offered(self.tools)}
        tools |= {tool["name"]: _tool(tool) for tool in functions}
        if choice == "none":
            return (), False
        if isinstance(choice, str):
            return tuple(tools.values()), choice == "required" and bool(tools)
        if choice["type"] == "mcp":
            offered = mcp.offered(
                [
                    t
                    for t in self.tools
                    if t.get("server_label") == choice["server_label"]
                ]
            )
            tools = {tool.name: tool for _, tool in offered}
        wanted = choice.get("name")
        named = [tool for tool in tools.values() if wanted in (None, tool.name)]
        return tuple(named), bool(named)

    def _setting(self, key: str) -> Any:
        given = self.params.get(key)
        return self.session[key] if given is None else given


def _tool(tool: dict[str, Any]) -> Tool:
    return Tool(
        name=tool["name"],
        description=tool.get("description") or "",
        parameters=tool.get("parameters") or {},
    )
