"""What a transport tells its user, typed: the events of the JavaScript SDK, and more.

The names are the SDK's (`RealtimeTransportEventTypes`), the fields are in snake_case.
Where Python code needs to know more than JavaScript tells, as which item an audio chunk
belongs to, it is there, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from offhook.events import Event

# What a transport itself emits. An event of a server's that is called so is no such
# event: it comes under `*` alone.
OWN = frozenset(
    (
        *("*", "connected", "disconnected", "connection_change"),
        *("reconnecting", "reconnected", "error", "dtmf", "function_call"),
        *("audio", "audio_done", "audio_interrupted", "audio_transcript_delta"),
        *("output_text_delta", "item_update", "item_deleted"),
        *("turn_started", "turn_done", "usage_update"),
        *("mcp_tools_listed", "mcp_approval_request", "mcp_tool_call_completed"),
    )
)

Status = Literal["connecting", "connected", "disconnecting", "disconnected"]


@dataclass(frozen=True)
class Audio:
    """`audio`: a chunk of the answer, in the session's output format."""

    data: bytes
    response_id: str
    item_id: str
    content_index: int


@dataclass(frozen=True)
class AudioDone:
    """`audio_done`: no more audio of this item will come; it may still be playing."""

    response_id: str
    item_id: str
    content_index: int


@dataclass(frozen=True)
class AudioInterrupted:
    """`audio_interrupted`: stop playing; what was not heard is cut.

    Attributes:
        audio_end_ms: How much of the item was heard; None where the server knows.
    """

    item_id: str | None = None
    content_index: int = 0
    audio_end_ms: int | None = None


@dataclass(frozen=True)
class Delta:
    """`audio_transcript_delta` and `output_text_delta`: words of the answer."""

    delta: str
    item_id: str
    response_id: str


@dataclass(frozen=True)
class Usage:
    """`usage_update`: what a response cost, in tokens."""

    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: dict[str, Any] = field(default_factory=dict)
    output_tokens_details: dict[str, Any] = field(default_factory=dict)

    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class TurnStarted:
    """`turn_started`: a response is being made.

    Attributes:
        event: The `response.created`, as it came.
    """

    response_id: str
    event: Event


@dataclass(frozen=True)
class TurnDone:
    """`turn_done`: a response has ended, however it ended."""

    response_id: str
    status: str
    output: tuple[Event, ...]
    usage: Usage


@dataclass(frozen=True)
class FunctionCall:
    """`function_call`: the model wants a function of yours.

    Attributes:
        id: The item's.
        arguments: JSON, as the model wrote it.
    """

    id: str
    call_id: str
    name: str
    arguments: str
    response_id: str


@dataclass(frozen=True)
class ItemUpdate:
    """`item_update`: an item of the conversation is new, or has changed.

    Attributes:
        item: As `history.History` holds it.
    """

    item: Event


@dataclass(frozen=True)
class ItemDeleted:
    """`item_deleted`: an item has left the conversation."""

    item_id: str


@dataclass(frozen=True)
class McpToolsListed:
    """`mcp_tools_listed`: what the tools of an MCP server are."""

    server_label: str
    tools: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class McpApprovalRequest:
    """`mcp_approval_request`: answer it with `send_mcp_response`."""

    item_id: str
    server_label: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class McpToolCallCompleted:
    """`mcp_tool_call_completed`: the server has run a tool of an MCP server."""

    item: Event


@dataclass(frozen=True)
class TransportError:
    """`error`: the server refused an event or sent a bad one, or the connection failed.

    Attributes:
        error: The server's `error` object, or an exception.
        event_id: The client event that caused it, or the malformed one of the server.
    """

    error: Event | Exception
    event_id: str | None = None


@dataclass(frozen=True)
class Reconnecting:
    """`reconnecting`: the connection broke, and is tried again after a pause.

    Attributes:
        attempt: The first is 1.
        seconds: How long the pause is.
    """

    attempt: int
    seconds: float
    error: Exception


@dataclass(frozen=True)
class Reconnected:
    """`reconnected`: a new session has the configuration and the history of the old.

    Attributes:
        attempt: The one that succeeded.
    """

    attempt: int
