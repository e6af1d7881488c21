"""The items of a conversation, as clients may create them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from offhook.errors import InvalidRequest
from offhook.protocol.validation import Strict, check

Item = dict[str, Any]
Role = Literal["user", "assistant", "system"]
Status = Literal["completed", "incomplete", "in_progress"]


# An item goes back in an event, and openai-agents takes no frame above 8 MiB.
_Text = Annotated[str, Field(max_length=2**20)]
_Image = Annotated[str, Field(max_length=6 * 2**20)]


class _Item(Strict):
    id: Annotated[str, Field(min_length=1)] | None = None
    object: Literal["realtime.item"] | None = None
    status: Status | None = None


class InputText(Strict):
    """Written words of the caller or the system."""

    type: Literal["input_text"]
    text: _Text


class InputAudio(Strict):
    """Spoken words of the caller."""

    type: Literal["input_audio"]
    audio: str | None = None
    transcript: str | None = None


class InputImage(Strict):
    """A picture, kept in the history; the local endpoint cannot see."""

    type: Literal["input_image"]
    image_url: _Image | None = None
    detail: Literal["auto", "low", "high"] | None = None


class OutputText(Strict):
    """Words of the assistant; its speech cannot be created by a client."""

    type: Literal["output_text"]
    text: _Text


class SystemMessage(_Item):
    """Guidance put into the conversation."""

    type: Literal["message"]
    role: Literal["system"]
    content: list[InputText]


class UserMessage(_Item):
    """What the caller said."""

    type: Literal["message"]
    role: Literal["user"]
    content: list[
        Annotated[InputText | InputAudio | InputImage, Field(discriminator="type")]
    ]


class AssistantMessage(_Item):
    """What the assistant said, seeded from an earlier call."""

    type: Literal["message"]
    role: Literal["assistant"]
    content: list[OutputText]
    phase: Literal["commentary", "final_answer"] | None = None


class FunctionCall(_Item):
    """A call of a function of the client's."""

    type: Literal["function_call"]
    name: str
    arguments: _Text
    call_id: str | None = None


class FunctionCallOutput(_Item):
    """What that function returned."""

    type: Literal["function_call_output"]
    call_id: str
    output: _Text


class McpApprovalResponse(_Item):
    """The client's answer to an approval request."""

    type: Literal["mcp_approval_response"]
    approval_request_id: str
    approve: bool
    reason: str | None = None


class ItemReference(Strict):
    """An item of the conversation, as part of a response's own context."""

    type: Literal["item_reference"]
    id: str


Message = Annotated[
    SystemMessage | UserMessage | AssistantMessage, Field(discriminator="role")
]
_ITEM: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        Message | FunctionCall | FunctionCallOutput | McpApprovalResponse,
        Field(discriminator="type"),
    ]
)


def parsed(item: Any, item_id: str, at: str = "item") -> Item:
    """Return a client's item as the conversation keeps it.

    Args:
        item: As it came.
        item_id: The id to give it where the client chose none.
        at: Where it stands in the event.

    Raises:
        InvalidRequest: It is not an item that a client may create.
    """
    if isinstance(item, dict) and item.get("role") == "assistant":
        _refuse_assistant_audio(item, at)
    kept: Item = check(_ITEM, item, at).model_dump(exclude_none=True)
    kept.pop("object", None)
    if kept.get("id") == "root":
        raise InvalidRequest(
            f"Invalid value for '{at}.id': 'root' is where the conversation begins.",
            code="invalid_value",
            param=f"{at}.id",
        )
    kept.setdefault("id", item_id)
    if is_plain(kept):
        kept.setdefault("status", "completed")
    else:
        kept.pop("status", None)
    for part in kept.get("content", ()):
        if part["type"] == "input_audio":
            part.pop("audio", None)
            # Clients read the key even where there is no transcript yet.
            part.setdefault("transcript", None)
    return kept


def is_plain(item: Item) -> bool:
    """Whether an item has an `object` and a `status`; OpenAI's MCP items do not."""
    return not item["type"].startswith("mcp_")


def spoken_by_caller(item_id: str) -> Item:
    """Return the item of a turn that was just committed."""
    return {
        "id": item_id,
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_audio", "transcript": None}],
    }


def audio_of(item: Any) -> list[tuple[str, str]]:
    """Return where there is base64 audio in an item of a client's, and the audio."""
    parts = item.get("content") if isinstance(item, dict) else None
    return [
        (f"item.content[{index}].audio", part["audio"])
        for index, part in enumerate(parts if isinstance(parts, list) else ())
        if isinstance(part, dict) and isinstance(part.get("audio"), str)
    ]


def text_of(item: Item) -> str:
    """Return what an item says, written or spoken."""
    parts = (p.get("text") or p.get("transcript") for p in item.get("content", ()))
    return " ".join(part for part in parts if part)


def _refuse_assistant_audio(item: Item, at: str) -> None:
    content = item.get("content")
    for index, part in enumerate(content if isinstance(content, list) else ()):
        if isinstance(part, dict) and part.get("type") in ("output_audio", "audio"):
            path = f"{at}.content[{index}].text"
            raise InvalidRequest(
                f"Missing required parameter: '{path}'.",
                code="missing_required_parameter",
                param=path,
            )
