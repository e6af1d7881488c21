"""The eleven events that a client may send, and their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from offhook.errors import InvalidRequest
from offhook.protocol.session_fields import (
    Audio,
    MaxTokens,
    Modalities,
    Tool,
    ToolChoice,
)
from offhook.protocol.validation import Strict, check

if TYPE_CHECKING:
    from offhook.events import Event


class _Event(Strict):
    type: str
    event_id: Annotated[str, Field(max_length=512)] | None = None


class SessionUpdate(_Event):
    """`session` is checked where it is merged."""

    session: Any


class InputAudioBufferAppend(_Event):
    """At most 15 MiB of audio, which are 20 MiB of base64."""

    audio: Annotated[str, Field(max_length=20 * 2**20)]


class InputAudioBufferCommit(_Event):
    """End of a turn, said by the client."""


class InputAudioBufferClear(_Event):
    """Forget what was appended."""


class OutputAudioBufferClear(_Event):
    """Stop what is being played (WebRTC only)."""


class ItemCreate(_Event):
    """`item` is checked where it is parsed."""

    item: Any
    previous_item_id: str | None = None


class ItemRetrieve(_Event):
    """Ask for an item as the server holds it."""

    item_id: str


class ItemTruncate(_Event):
    """Tell how much of an answer was heard."""

    item_id: str
    content_index: Annotated[int, Field(ge=0)]
    audio_end_ms: Annotated[int, Field(ge=0)]


class ItemDelete(_Event):
    """Remove an item."""

    item_id: str


# OpenAI: 16 pairs, keys of 64 characters, values of 512.
Metadata = Annotated[
    dict[
        Annotated[str, Field(max_length=64)],
        Annotated[str, Field(max_length=512)],
    ],
    Field(max_length=16),
]


class ResponseParams(Strict):
    """What one response does differently from the session."""

    instructions: str | None = None
    output_modalities: Modalities | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None
    max_output_tokens: MaxTokens | None = None
    metadata: Metadata | None = None
    prompt: dict[str, Any] | None = None
    conversation: Literal["auto", "none"] | None = None
    input: list[Any] | None = None
    audio: Audio | None = None


class ResponseCreate(_Event):
    """Ask for an answer."""

    response: ResponseParams | None = None


class ResponseCancel(_Event):
    """Stop an answer."""

    response_id: str | None = None


_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "session.update": TypeAdapter(SessionUpdate),
    "input_audio_buffer.append": TypeAdapter(InputAudioBufferAppend),
    "input_audio_buffer.commit": TypeAdapter(InputAudioBufferCommit),
    "input_audio_buffer.clear": TypeAdapter(InputAudioBufferClear),
    "output_audio_buffer.clear": TypeAdapter(OutputAudioBufferClear),
    "conversation.item.create": TypeAdapter(ItemCreate),
    "conversation.item.retrieve": TypeAdapter(ItemRetrieve),
    "conversation.item.truncate": TypeAdapter(ItemTruncate),
    "conversation.item.delete": TypeAdapter(ItemDelete),
    "response.create": TypeAdapter(ResponseCreate),
    "response.cancel": TypeAdapter(ResponseCancel),
}


def checked(event: Event) -> Any:
    """Return the typed form of a client event.

    Raises:
        InvalidRequest: Unknown type, or a field that is missing, wrong or unknown.
    """
    kind = event.get("type")
    if not isinstance(kind, str):
        raise InvalidRequest("The 'type' field is missing.", code="invalid_event")
    if kind not in _ADAPTERS:
        names = ", ".join(f"'{name}'" for name in _ADAPTERS)
        raise InvalidRequest(
            f"Invalid value: '{kind[:64]}'. Supported values are: {names}.",
            code="invalid_value",
            param="type",
        )
    return check(_ADAPTERS[kind], event)
