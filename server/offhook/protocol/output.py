"""One item of a response: the events that announce, fill and close it, in GA's order.

The order is the one of recorded traffic: `response.output_item.added`, then
`conversation.item.added`, what the item is made of, `conversation.item.done`, and last
`response.output_item.done`.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from offhook.events import Event
from offhook.protocol.items import Item

if TYPE_CHECKING:
    from offhook.protocol.prompt import ToolCall

Emit = Callable[[Event], None]
Add = Callable[[Item], str | None]
Modality = Literal["text", "audio"]
ItemStatus = Literal["completed", "incomplete"]

# 100 ms of 24 kHz PCM: small enough to start at once, large enough not to flood.
_CHUNK_BYTES = 4800
# About what one token of JSON is.
_FRAGMENT_CHARS = 16


@dataclass(frozen=True)
class Place:
    """Where an item stands: in which response, and in the conversation or not.

    Attributes:
        add: Puts an item into the conversation and returns the id of the one before;
            None for a response beside it (`conversation: none`).
    """

    emit: Emit
    response_id: str
    output_index: int
    add: Add | None


class Output:
    """What every item has: an announcement and an end.

    Attributes:
        item: As the conversation holds it; it grows.
        open: Whether its end has not been told yet.
    """

    def __init__(self, place: Place, item: Item) -> None:
        self.item = item
        self.open = True
        self._place = place
        self._previous: str | None = None
        announced = copy.deepcopy(item)
        if "content" in announced:
            announced["content"] = []
        self._tell_response("added", announced)
        if place.add:
            self._previous = place.add(item)
            self._tell_conversation("added", announced)

    def close(self, status: ItemStatus) -> None:
        """Tell the end, once."""
        if not self.open:
            return
        self.open = False
        if "status" in self.item:  # OpenAI: an mcp_call has none
            self.item["status"] = status
        if self._place.add:
            self._tell_conversation("done", self.snapshot())
        self._tell_response("done", self.snapshot())

    def progress(self, moment: Literal["in_progress", "completed", "failed"]) -> None:
        """Tell how far the call of an MCP server's tool has come."""
        ids = {"item_id": self.item["id"], "output_index": self._place.output_index}
        self._place.emit({"type": f"response.mcp_call.{moment}", **ids})

    def snapshot(self) -> Item:
        """Copy the item as it is now: later changes must not reach a sent event."""
        return copy.deepcopy(self.item)

    def emit(self, kind: str, **fields: Any) -> None:
        """Send an event about this item."""
        place = {
            "response_id": self._place.response_id,
            "item_id": self.item["id"],
            "output_index": self._place.output_index,
        }
        self._place.emit({"type": f"response.{kind}", **place, **fields})

    def _tell_response(self, moment: str, item: Item) -> None:
        place = self._place
        event = {"type": f"response.output_item.{moment}"}
        ids = {"response_id": place.response_id, "output_index": place.output_index}
        place.emit({**event, **ids, "item": item})

    def _tell_conversation(self, moment: str, item: Item) -> None:
        event = {"type": f"conversation.item.{moment}"}
        self._place.emit({**event, "previous_item_id": self._previous, "item": item})


class Message:
    """What is said, spoken or written.

    Attributes:
        truncated: Whether it was cut already; then its words stay forgotten.
        audio_ms: How much audio has been generated.
    """

    def __init__(
        self, place: Place, item_id: str, modality: Modality, *, stream_audio: bool
    ) -> None:
        self.truncated = False
        self.audio_ms = 0
        self._modality = modality
        self._stream_audio = stream_audio
        self._text: list[str] = []
        self._words = "transcript" if modality == "audio" else "text"
        self.output = Output(
            place,
            {
                "id": item_id,
                "type": "message",
                "status": "in_progress",
                "role": "assistant",
                "content": [{"type": f"output_{modality}", self._words: ""}],
            },
        )
        self._part("content_part.added", "")

    @property
    def text(self) -> str:
        """What has been said so far."""
        return "".join(self._text)

    def say(self, delta: str) -> None:
        """Add text: the transcript of the speech, or the answer itself."""
        self._text.append(delta)
        self._emit(f"{self._stream}.delta", delta=delta)

    def sound(self, encoded: bytes, ms: int) -> None:
        """Add audio, as it goes onto the wire; WebRTC carries it elsewhere."""
        self.audio_ms += ms
        if not self._stream_audio:
            return
        for at in range(0, len(encoded), _CHUNK_BYTES):
            chunk = base64.b64encode(encoded[at : at + _CHUNK_BYTES]).decode()
            self._emit("output_audio.delta", delta=chunk)

    def close(self, status: ItemStatus) -> None:
        """Emit every `.done` that is owed, whatever the reason."""
        if self._modality == "audio":
            self._emit("output_audio.done")
        self._emit(f"{self._stream}.done", **{self._words: self.text})
        self._part("content_part.done", self.text)
        self.output.item["content"][0][self._words] = (
            "" if self.truncated else self.text
        )
        self.output.close(status)

    @property
    def _stream(self) -> str:
        spoken = self._modality == "audio"
        return "output_audio_transcript" if spoken else "output_text"

    def _part(self, kind: str, text: str) -> None:
        self._emit(kind, part={"type": self._modality, self._words: text})

    def _emit(self, kind: str, **fields: Any) -> None:
        self.output.emit(kind, content_index=0, **fields)


def call_function(place: Place, item_id: str, call: ToolCall) -> Output:
    """Call a function of the client's: the item from its beginning to its end."""
    item = {
        "id": item_id,
        "type": "function_call",
        "status": "in_progress",
        "name": call.name,
        "call_id": call.call_id,
        "arguments": "",
    }
    output = Output(place, item)
    ids = {"call_id": call.call_id}
    for delta in _fragments(call.arguments):
        output.emit("function_call_arguments.delta", **ids, delta=delta)
    item["arguments"] = call.arguments
    done = {**ids, "name": call.name, "arguments": call.arguments}
    output.emit("function_call_arguments.done", **done)
    output.close("completed")
    return output


def call_tool(place: Place, item_id: str, server_label: str, call: ToolCall) -> Output:
    """Call a tool of an MCP server; the item ends when the tool has run."""
    item = {
        "id": item_id,
        "type": "mcp_call",
        "server_label": server_label,
        "name": call.name,
        "arguments": "",
        "approval_request_id": None,
        "output": None,
        "error": None,
    }
    output = Output(place, item)
    for delta in _fragments(call.arguments):
        # @openai/agents-realtime insists on the padding, though it is optional.
        output.emit("mcp_call_arguments.delta", delta=delta, obfuscation="")
    item["arguments"] = call.arguments
    output.emit("mcp_call_arguments.done", arguments=call.arguments)
    return output


def _fragments(arguments: str) -> Iterator[str]:
    for at in range(0, len(arguments), _FRAGMENT_CHARS):
        yield arguments[at : at + _FRAGMENT_CHARS]
