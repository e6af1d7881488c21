"""Traces as lines that can be compared."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.traces.stage import Event

    # The name of an event, and what came with it, spelled as in JavaScript.
    Told = list[Any]

# The server's events that scripts send and both SDKs tell by their own names.
RAW = (
    "session.created",
    "session.updated",
    "response.created",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
    "response.output_text.delta",
    "response.done",
    "response.mcp_call.in_progress",
    "input_audio_buffer.speech_started",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.retrieved",
    "conversation.item.deleted",
    "conversation.item.truncated",
    "conversation.item.input_audio_transcription.completed",
    "mcp_list_tools.in_progress",
    "something.new",
)


def _item(item: Event) -> Event:
    shown = ("itemId", "type", "role", "status", "name", "arguments", "output")
    brief = {name: item[name] for name in shown if item.get(name) is not None}
    if "output" in brief:
        brief["output"] = _read(brief["output"])
    if content := item.get("content"):
        kept = ("type", "text", "transcript", "image_url")
        brief["content"] = [{k: p[k] for k in kept if p.get(k)} for p in content]
    return brief


def _picked(*names: str) -> Callable[[Event], Event]:
    return lambda payload: {name: payload.get(name) for name in names}


def _nothing(_: Event) -> None:
    return None


def _turn(payload: Event) -> Event:
    return {**payload["response"]}


# What is compared of an event beside its name.
_SHOWN: dict[str, Callable[[Any], Any]] = {
    "*": lambda event: event["type"],
    "connection_change": str,
    "raised": str,
    "error": lambda fault: fault["error"].get("error", {}).get("message"),
    "turn_started": lambda turn: turn["providerData"]["response"].get("id", ""),
    "turn_done": _turn,
    "usage_update": _picked(
        "inputTokens",
        "outputTokens",
        "totalTokens",
    ),
    "audio": lambda audio: [audio["responseId"], len(audio["data"])],
    "audio_done": _nothing,
    "audio_interrupted": _nothing,
    "audio_transcript_delta": _picked("itemId", "responseId", "delta"),
    "output_text_delta": _picked("itemId", "responseId", "delta"),
    "item_update": _item,
    "item_deleted": _picked("itemId"),
    "function_call": _picked("id", "callId", "name", "arguments", "responseId"),
    "mcp_tools_listed": _picked("serverLabel", "tools"),
    "mcp_approval_request": _picked("itemId", "serverLabel", "name", "arguments"),
    "mcp_tool_call_completed": _item,
}
SESSION_NAMES = (
    "error",
    "agent_start",
    "agent_end",
    "agent_handoff",
    "agent_tool_start",
    "agent_tool_end",
    "audio_start",
    "audio",
    "audio_stopped",
    "audio_interrupted",
    "guardrail_tripped",
    "history_added",
    "tool_approval_requested",
    "mcp_tools_changed",
    "mcp_tool_call_completed",
)
NAMES = ("connected", "disconnected", *(name for name in _SHOWN if name != "raised"))


def sent(events: list[Event]) -> Iterator[str]:
    """Tell what was sent, an event a line; but sessions setting by setting."""
    for event in events:
        if event["type"] == "here":
            continue
        fields = {name: event[name] for name in sorted(event) if name != "type"}
        session = fields.pop("session", None)
        if "output" in fields.get("item", {}):
            said = _read(fields["item"]["output"])
            fields["item"] = {**fields["item"], "output": said}
        if "event_id" in fields:
            # Each names itself in the ids that it makes.
            own = re.sub(r"^(agents_js|agents|offhook)_", "", fields["event_id"])
            fields["event_id"] = own
        yield f"> {event['type']} {_json(fields)}"
        if session is not None:
            yield from (f">   {line}" for line in _settings(session, ""))


def told(trace: list[Told]) -> Iterator[str]:
    """Tell what was told, an event a line."""
    items: dict[str, str] = {}
    for name, *payload in trace:
        text = f"* {name}"
        if payload and name not in RAW:
            shown = _SHOWN[name](payload[0])
            text += "" if shown is None else f" {_json(shown)}"
        if name == "item_update":
            item_id = payload[0]["itemId"]
            if items.get(item_id) == text:
                text += " (again)"
            else:
                items[item_id] = text
        yield text


def _settings(group: Event, at: str) -> Iterator[str]:
    for name, value in sorted(group.items()):
        if isinstance(value, dict) and (at + name) in ("audio", *_SIDES):
            yield from _settings(value, f"{at}{name}.")
        else:
            yield f"{at}{name} = {_json(value)}"


_SIDES = ("audio.input", "audio.output")


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


_OF_SESSION: dict[str, Callable[..., Any]] = {
    "raised": lambda what: what,
    "error": lambda fault: _message(fault["error"]),
    "audio": lambda audio: audio["responseId"],
    "agent_tool_start": lambda agent, tool, *_: [agent, tool],
    "agent_tool_end": lambda agent, tool, result, *_: [agent, tool, _read(result)],
    "guardrail_tripped": lambda agent, _, where: [agent, where["itemId"]],
    "tool_approval_requested": lambda agent, asked: [agent, _asked(asked)],
    "history_added": lambda item: item["itemId"],
    "history": _item,
    "mcp_tools_changed": lambda tools: [tool["name"] for tool in tools],
    "mcp_tool_call_completed": lambda agent, item: [agent, _item(item)],
}


def told_by_session(trace: list[Told]) -> Iterator[str]:
    """Tell what a session of agents told, an event a line."""
    for name, *payload in trace:
        shown = _OF_SESSION[name](*payload) if name in _OF_SESSION else payload
        yield f"* {name} {_json(shown)}"


def _message(error: Event) -> Any:
    inner = error.get("error")
    return _message(inner) if isinstance(inner, dict) else error.get("message")


def _asked(request: Event) -> Any:
    """Return which tool it is that waits for consent."""
    if "approvalItem" in request:
        return request["approvalItem"]["rawItem"]["name"]
    return request["name"]


def _read(output: Any) -> Any:
    """Return what an output says: JSON may be written in more than one way."""
    try:
        return json.loads(output)
    except (TypeError, ValueError):
        return output
