"""What a transport tells, as openai-agents' model events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.realtime.items import (
    AssistantMessageItem,
    RealtimeToolCallItem,
    SystemMessageItem,
    UserMessageItem,
)
from agents.realtime.model_events import (
    RealtimeModelCachedTokensDetails,
    RealtimeModelErrorEvent,
    RealtimeModelInputAudioTimeoutTriggeredEvent,
    RealtimeModelInputAudioTranscriptionCompletedEvent,
    RealtimeModelInputTokensDetails,
    RealtimeModelOutputTokensDetails,
    RealtimeModelUsageEvent,
)
from agents.usage import Usage as TotalUsage
from openai.types.realtime import RealtimeError
from pydantic import ValidationError

if TYPE_CHECKING:
    from agents.realtime.items import RealtimeItem

    from offhook.events import Event
    from offhook.protocol.items import Item
    from offhook.protocol.transport_events import Usage

_ROLES: dict[str, type[UserMessageItem | AssistantMessageItem | SystemMessageItem]] = {
    "user": UserMessageItem,
    "assistant": AssistantMessageItem,
    "system": SystemMessageItem,
}
# By role: the parts that the models know, and what they call them.
_PARTS = {
    "user": {name: name for name in ("input_text", "input_audio", "input_image")},
    "assistant": {"output_text": "text", "output_audio": "audio"},
    "system": {"input_text": "input_text"},
}
_STATUSES = ("in_progress", "completed", "incomplete")


def item_of(item: Item) -> RealtimeItem | None:
    """Return an item of our history as theirs; None where they have no such item."""
    try:
        if item["type"] == "message" and item.get("role") in _ROLES:
            return _message(item)
        if item["type"] == "function_call":
            return _call(item)
    except ValidationError:
        pass
    return None


def _message(item: Item) -> RealtimeItem:
    role = item["role"]
    names = _PARTS[role]
    fields: dict[str, Any] = {
        "item_id": item["item_id"],
        "previous_item_id": item.get("previous_item_id"),
        "content": [
            {**part, "type": names[part["type"]]}
            for part in item.get("content") or []
            if part.get("type") in names
        ],
    }
    if role == "assistant" and item.get("status") in _STATUSES:
        fields["status"] = item["status"]
    return _ROLES[role].model_validate(fields)


def _call(item: Item) -> RealtimeItem:
    return RealtimeToolCallItem.model_validate(
        {
            "item_id": item["item_id"],
            "previous_item_id": item.get("previous_item_id"),
            "call_id": item.get("call_id"),
            "status": "completed" if item.get("output") is not None else "in_progress",
            "arguments": item.get("arguments") or "",
            "name": item.get("name") or "",
            "output": item.get("output"),
        }
    )


def usage_of(usage: Usage) -> RealtimeModelUsageEvent:
    """Return what a response cost."""
    total = TotalUsage(
        requests=1,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
    )
    given, made = usage.input_tokens_details, usage.output_tokens_details
    total.input_tokens_details.cached_tokens = given.get("cached_tokens") or 0
    cached = given.get("cached_tokens_details")
    return RealtimeModelUsageEvent(
        usage=total,
        input_tokens_details=RealtimeModelInputTokensDetails(
            **_kinds(given),
            cached_tokens=given.get("cached_tokens"),
            cached_tokens_details=(
                RealtimeModelCachedTokensDetails(**_kinds(cached)) if cached else None
            ),
        )
        if given
        else None,
        output_tokens_details=RealtimeModelOutputTokensDetails(
            text_tokens=made.get("text_tokens"), audio_tokens=made.get("audio_tokens")
        )
        if made
        else None,
    )


def _kinds(details: dict[str, Any]) -> dict[str, Any]:
    kinds = ("text_tokens", "audio_tokens", "image_tokens")
    return {kind: details.get(kind) for kind in kinds}


def error_of(error: Event | Exception) -> RealtimeModelErrorEvent:
    """Return an error; one of the server's has its fields as attributes."""
    if isinstance(error, Exception):
        return RealtimeModelErrorEvent(error=error)
    fields = {"message": "", "type": "", **error}
    # Not validated: what a server that is not quite OpenAI's says is passed on, too.
    return RealtimeModelErrorEvent(error=RealtimeError.model_construct(None, **fields))


def transcription_of(
    event: Event,
) -> RealtimeModelInputAudioTranscriptionCompletedEvent | None:
    """Return what the caller said; None where the event does not tell."""
    item_id, transcript = event.get("item_id"), event.get("transcript")
    if not isinstance(item_id, str) or not isinstance(transcript, str):
        return None
    return RealtimeModelInputAudioTranscriptionCompletedEvent(item_id, transcript)


def timeout_of(event: Event) -> RealtimeModelInputAudioTimeoutTriggeredEvent:
    """Return that the caller has been silent for too long."""
    return RealtimeModelInputAudioTimeoutTriggeredEvent(
        item_id=str(event.get("item_id") or ""),
        audio_start_ms=event.get("audio_start_ms") or 0,
        audio_end_ms=event.get("audio_end_ms") or 0,
    )
