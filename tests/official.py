"""What OpenAI's own models say about an event, and what their JavaScript SDK needs."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from openai.types.realtime import (
    RealtimeServerEvent,
    RealtimeSessionCreateResponse,
    RealtimeTranscriptionSessionCreateResponse,
)
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

# openai-python marks its unions with a discriminator of its own that pydantic does not
# know: tried member by member, one wrong field gives forty-six complaints.
_MEMBERS: Any = get_args(RealtimeServerEvent)[0]
_SERVER: TypeAdapter[Any] = TypeAdapter(
    Annotated[_MEMBERS, Field(discriminator="type")]
)
_SESSION: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        RealtimeSessionCreateResponse | RealtimeTranscriptionSessionCreateResponse,
        Field(discriminator="type"),
    ]
)

# One event of each shape that any test has seen, for the parser of the JavaScript SDK:
# see tests/conftest.py.
SEEN: dict[object, dict[str, Any]] = {}

# Their values decide how the rest is read.
_TAGS = frozenset(("type", "object", "role", "status"))
# Longer texts are audio or prose: their beginning will do.
_BRIEF = 100


WITH_STATUS = ("message", "function_call", "function_call_output")


def problems(event: dict[str, Any]) -> list[str]:
    """List everything that an official client would stumble over.

    What the JavaScript SDK thinks of it turns out at the end of the run.
    """
    if (shape := _shape(event)) not in SEEN:
        SEEN[shape] = _brief(event)
    try:
        model = _SERVER.validate_python(event)
    except ValidationError as error:
        return [f"{e['loc']}: {e['msg']}" for e in error.errors()]
    found = _undeclared(model, event["type"])
    if event["type"].startswith("session."):
        session = _SESSION.validate_python(event["session"])
        # The event's own model is that of a request, which has no id; the other one
        # lacks what only a request declares.
        asked = _undeclared(model.session, "session")
        found = [f for f in _undeclared(session, "session") if f in asked]
    return found + _breaks_javascript(event)


def _shape(value: Any) -> object:
    """What a parser goes by: keys, types, and the values that others depend on."""
    if isinstance(value, dict):
        return tuple(
            (key, inner if key in _TAGS and isinstance(inner, str) else _shape(inner))
            for key, inner in value.items()
        )
    return frozenset(map(_shape, value)) if isinstance(value, list) else type(value)


def _brief(value: Any) -> Any:
    """Copy an event without the bulk of it."""
    if isinstance(value, dict):
        # Arguments are JSON that the SDK reads.
        return {
            key: inner if key == "arguments" else _brief(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_brief(inner) for inner in value]
    return value[:_BRIEF] if isinstance(value, str) else value


def _undeclared(model: Any, at: str) -> list[str]:
    """Find keys that the models do not have: they accept any, so typos pass."""
    if isinstance(model, BaseModel):
        found = [f"{at}.{key}: undeclared" for key in model.model_extra or {}]
        for name in model.model_fields_set:
            found += _undeclared(getattr(model, name, None), f"{at}.{name}")
        return found
    if isinstance(model, list):
        return [f for i, m in enumerate(model) for f in _undeclared(m, f"{at}[{i}]")]
    return []


def _breaks_javascript(event: dict[str, Any]) -> list[str]:
    """Find what pydantic lets pass and @openai/agents-realtime 0.20 does not."""
    found = []
    if not isinstance(event.get("event_id"), str):
        found.append("event_id: missing")
    part = event.get("part", {})
    found += [
        f"part.{k}: null" for k in ("text", "transcript") if part.get(k, "") is None
    ]
    item = event.get("item", {})
    if item.get("type") in WITH_STATUS and item.get("status") is None:
        found.append("item.status: missing")
    for content in item.get("content", ()):
        if content["type"] == "input_audio" and "transcript" not in content:
            found.append("input_audio.transcript: missing")
        if content["type"].endswith("_text") and not isinstance(content["text"], str):
            found.append("text: not a string")
    return found
