"""What a server does wrong, or could not do, as errors that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offhook.errors import InvalidRequest, OffhookError, UpstreamError
from offhook.protocol.transport_events import TransportError

if TYPE_CHECKING:
    from offhook.events import Event

# What handlers raise at events that are not as they should be, or cannot be followed.
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, InvalidRequest)


def malformed(event: Event, error: Exception) -> TransportError:
    """Make an error of what handling an event has raised."""
    match error:
        case OffhookError():
            fault: OffhookError = error
        case _:
            fault = UpstreamError(
                f"The server sent a malformed '{event['type']}': {_why(error)}.",
                code="upstream_malformed",
            )
            fault.__cause__ = error
    event_id = event.get("event_id")
    return TransportError(fault, event_id if isinstance(event_id, str) else None)


def unlisted(label: str | None) -> TransportError:
    """Make an error of an MCP server whose tools could not be listed."""
    which = "an MCP server" if label is None else f"MCP server '{label}'"
    fault = UpstreamError(
        f"The tools of {which} cannot be listed: check its server_url and its "
        "authorization, and whether the model's server can reach it.",
        code="mcp_list_tools_failed",
    )
    return TransportError(fault)


def _why(error: Exception) -> str:
    match error:
        case KeyError():
            return f"{error} is missing"
        case ValueError():
            return str(error)
    return "a part of it is of another kind than it should be"
