"""What is told in Python, spelled as in JavaScript."""

from __future__ import annotations

import base64
import copy
import dataclasses
import re
from typing import TYPE_CHECKING, Any

from agents import FunctionTool, RunContextWrapper
from agents.realtime import RealtimeAgent

from offhook.agent import ToolApprovalRequest
from offhook.protocol import transport_events as told

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.traces.stage import Event


def snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name)


def brief(payload: Iterable[Any]) -> list[Any]:
    """Leave contexts out, and call agents and tools by their names."""
    named = (RealtimeAgent, FunctionTool)
    return [
        each.name if isinstance(each, named) else as_javascript(each)
        for each in payload
        if not isinstance(each, RunContextWrapper)
    ]


def as_javascript(payload: Any) -> Any:
    """Spell what is told as the JavaScript SDK does."""
    match payload:
        case told.TransportError(error):
            message = str(error) if isinstance(error, Exception) else error["message"]
            return {"error": {"error": {"message": message}}}
        case told.TurnStarted(response_id):
            return {"providerData": {"response": {"id": response_id}}}
        case told.TurnDone(response_id, _, output, usage):
            shown = {"id": response_id, "output": [*output]}
            return {"response": {**shown, "usage": as_javascript(usage)}}
        case told.Audio(data):
            encoded = base64.b64encode(data).decode()
            return {"data": encoded, "responseId": payload.response_id}
        case told.Usage():
            return {**spelled(payload), "totalTokens": payload.total_tokens}
        case told.ItemUpdate(item) | told.McpToolCallCompleted(item):
            return as_javascript(item)
        case {"item_id": _}:
            return {camel(name): value for name, value in payload.items()}
        case Exception():
            return {"message": str(payload)}
        case ToolApprovalRequest():
            return {"name": payload.name}
        case _ if dataclasses.is_dataclass(payload):
            return spelled(payload)
    return copy.deepcopy(payload)


def spelled(event: Any) -> Event:
    fields = dataclasses.asdict(event)
    return {camel(name): value for name, value in fields.items()}
