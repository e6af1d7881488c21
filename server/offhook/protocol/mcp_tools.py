"""The MCP servers of a session: what their tools are, and the calls of them.

The order of events is the one that OpenAI's own clients and live tests rely on: a
response is done before its tools run; then the client asks for one that speaks of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest
from offhook.protocol.effects import CallTool, ListTools, Outbox
from offhook.protocol.mcp import McpServer, is_read_only
from offhook.protocol.prompt import Tool

if TYPE_CHECKING:
    from offhook.protocol.conversation import Conversation
    from offhook.protocol.items import Item
    from offhook.protocol.output import Output

# What an MCP item's `error` is: `protocol_error`, `http_error` or
# `tool_execution_error`, with a message and, but for the last, a numeric code.
Failure = dict[str, Any]


@dataclass
class _Server:
    """One server, and what is known of its tools."""

    server: McpServer
    item_id: str
    previous: str | None = None
    tools: list[dict[str, Any]] = field(default_factory=list)
    asked: bool = True


@dataclass(frozen=True)
class _Call:
    output: Output
    server: McpServer


class McpTools:
    """Lists and calls the tools of MCP servers; the shell talks to the servers."""

    def __init__(self, outbox: Outbox, conversation: Conversation) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._servers: dict[str, _Server] = {}
        self._calls: dict[str, _Call] = {}
        self._unapproved: dict[str, _Call] = {}

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The ids of lists and calls that have not ended."""
        asked = (s.item_id for s in self._servers.values() if s.asked)
        calls = (call.output.item["id"] for call in self._unapproved.values())
        return (*asked, *self._calls, *calls)

    def withdraw(self, labels: set[str]) -> None:
        """Give up the calls that wait for approval, of servers that are not wanted."""
        for request_id, call in list(self._unapproved.items()):
            if call.server.label in labels:
                del self._unapproved[request_id]
                self._break_off(call, "The tool is not offered any more.")

    def configure(self, tools: list[dict[str, Any]]) -> None:
        """Ask the servers among the tools of a session for their tools, each once.

        A server that was asked before may be named by its label alone (OpenAI's guide
        to Realtime with tools).
        """
        for tool in tools:
            if tool["type"] != "mcp":
                continue
            server = McpServer.parse(tool)
            known = self._servers.get(server.label)
            if known and (server == known.server or not server.url):
                continue
            if known:
                self.unlisted(known.item_id)
            self._list(server)

    def listing(self, tools: list[dict[str, Any]]) -> bool:
        """Whether one of these servers has not answered yet."""
        return any(known.asked for known in self._known(tools))

    def offered(
        self, tools: list[dict[str, Any]]
    ) -> tuple[tuple[McpServer, Tool], ...]:
        """Return the tools that the servers among `tools` have, as far as is known."""
        return tuple(
            (
                known.server,
                Tool(
                    name=tool["name"],
                    description=tool.get("description", ""),
                    parameters=tool["input_schema"],
                ),
            )
            for known in self._known(tools)
            for tool in known.tools
            if known.server.admits(tool)
        )

    def listed(self, item_id: str, tools: list[dict[str, Any]]) -> None:
        """Take a server's tools, as `ListTools` asked."""
        self._end_list(item_id, "completed", tools)

    def unlisted(self, item_id: str) -> None:
        """Take note that a server did not tell its tools."""
        self._end_list(item_id, "failed", [])

    def run(self, output: Output, *, cancelled: bool) -> None:
        """Run a call whose response is done, or ask for approval first."""
        label, name = output.item["server_label"], output.item["name"]
        call = _Call(output, self._servers[label].server)
        if cancelled:
            self._break_off(call, "The response was cancelled.")
        elif call.server.needs_approval(name, read_only=self._read_only(label, name)):
            self._ask(call)
        else:
            self._start(call)

    def check_approval(self, item: Item) -> None:
        """Refuse an answer to a question that is not open.

        Raises:
            InvalidRequest: There is no such request, or it was answered.
        """
        if item["approval_request_id"] not in self._unapproved:
            raise InvalidRequest(
                "There is no open approval request with id "
                f"'{item['approval_request_id']}'.",
                code="invalid_value",
                param="item.approval_request_id",
            )

    def approve(self, item: Item) -> None:
        """Take the client's answer to an approval request."""
        call = self._unapproved.pop(item["approval_request_id"])
        if item["approve"]:
            self._start(call)
        else:
            reason = item.get("reason")
            self._break_off(
                call,
                f"The call was not approved: {reason}"
                if reason
                else "The call was not approved.",
            )

    def returned(self, item_id: str, output: str) -> None:
        """Take what a tool returned, as `CallTool` asked."""
        self._end(self._calls.pop(item_id, None), output=output, error=None)

    def failed(self, item_id: str, error: Failure) -> None:
        """Take note that a tool failed."""
        self._end(self._calls.pop(item_id, None), output=None, error=error)

    def _read_only(self, label: str, name: str) -> bool:
        tools = self._servers[label].tools
        return any(is_read_only(tool) for tool in tools if tool["name"] == name)

    def _known(self, tools: list[dict[str, Any]]) -> list[_Server]:
        labels = (tool["server_label"] for tool in tools if tool["type"] == "mcp")
        return [self._servers[label] for label in labels if label in self._servers]

    def _list(self, server: McpServer) -> None:
        known = _Server(server, self._outbox.make_id("item"))
        self._servers[server.label] = known
        item = self._list_of(known)
        known.previous = self._conversation.add({**item})
        self._tell("added", known.previous, item)
        self._outbox.emit(
            {"type": "mcp_list_tools.in_progress", "item_id": known.item_id}
        )
        self._outbox.request(ListTools(known.item_id, server))

    def _list_of(self, known: _Server) -> Item:
        return {
            "id": known.item_id,
            "type": "mcp_list_tools",
            "server_label": known.server.label,
            "tools": [tool for tool in known.tools if known.server.admits(tool)],
        }

    def _end_list(self, item_id: str, moment: str, tools: list[dict[str, Any]]) -> None:
        asked = (s for s in self._servers.values() if s.item_id == item_id and s.asked)
        if (known := next(asked, None)) is None:
            return
        known.asked, known.tools = False, tools
        self._outbox.emit({"type": f"mcp_list_tools.{moment}", "item_id": item_id})
        item = self._list_of(known)
        if item_id in self._conversation:
            self._conversation.get(item_id, "retrieve").update(item)
        # Also after a failure, on which there is no official word: nothing stays open.
        self._tell("done", known.previous, item)

    def _tell(self, moment: str, previous: str | None, item: Item) -> None:
        event = {"type": f"conversation.item.{moment}"}
        self._outbox.emit({**event, "previous_item_id": previous, "item": item})

    def _ask(self, call: _Call) -> None:
        item = call.output.item
        request: Item = {
            "id": self._outbox.make_id("mcpr"),
            "type": "mcp_approval_request",
            "server_label": item["server_label"],
            "name": item["name"],
            "arguments": item["arguments"],
        }
        item["approval_request_id"] = request["id"]
        self._unapproved[request["id"]] = call
        previous = self._conversation.add(request)
        for moment in ("added", "done"):
            self._tell(moment, previous, request)

    def _start(self, call: _Call) -> None:
        call.output.progress("in_progress")
        item = call.output.item
        self._calls[item["id"]] = call
        self._outbox.request(
            CallTool(item["id"], call.server, item["name"], item["arguments"])
        )

    def _break_off(self, call: _Call, message: str) -> None:
        error = {"type": "tool_execution_error", "message": message}
        self._end(call, output=None, error=error)

    def _end(
        self, call: _Call | None, *, output: str | None, error: Failure | None
    ) -> None:
        if call is None:
            return
        call.output.item |= {"output": output, "error": error}
        call.output.progress("failed" if error else "completed")
        call.output.close("completed")
