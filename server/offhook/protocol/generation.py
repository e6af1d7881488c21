"""One response: the events that open it, fill it and close it, in GA's order.

The order is the one of recorded traffic: `response.created`, then per item
`output_item.added`, `conversation.item.added`, `content_part.added`, deltas, and on
every way out the matching `.done` events and exactly one `response.done`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Literal

from offhook.events import Event
from offhook.protocol.items import Item

Emit = Callable[[Event], None]
Add = Callable[[Item], str | None]
Modality = Literal["text", "audio"]

# 100 ms of 24 kHz PCM: small enough to start at once, large enough not to flood.
_CHUNK_BYTES = 4800
_MS_PER_AUDIO_TOKEN = 50  # OpenAI: one output audio token per 50 ms


class Generation:
    """A response in progress.

    Attributes:
        response_id: `resp_…`.
        item: The message being generated, once it has begun.
        in_conversation: False for out-of-band responses (`conversation: none`).
        truncated: Whether the item was cut already; then its words stay forgotten.
    """

    def __init__(
        self,
        emit: Emit,
        *,
        response_id: str,
        item_id: str,
        conversation_id: str | None,
        modality: Modality,
        metadata: dict[str, str] | None,
        max_output_tokens: int | str,
        audio_output: dict[str, Any],
        stream_audio: bool,
    ) -> None:
        self.response_id = response_id
        self.in_conversation = conversation_id is not None
        self.item: Item | None = None
        self.truncated = False
        self._emit = emit
        self._item_id = item_id
        self._modality = modality
        self._stream_audio = stream_audio
        self._previous: str | None = None
        self._text: list[str] = []
        self._audio_ms = 0
        self._response: dict[str, Any] = {
            "object": "realtime.response",
            "id": response_id,
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "conversation_id": conversation_id,
            "output_modalities": [modality],
            "max_output_tokens": max_output_tokens,
            "audio": {"output": audio_output},
            "usage": None,
            "metadata": metadata,
        }
        emit({"type": "response.created", "response": dict(self._response)})

    @property
    def item_id(self) -> str:
        """The id that the message has or will have."""
        return self._item_id

    @property
    def text(self) -> str:
        """What has been said so far."""
        return "".join(self._text)

    @property
    def audio_ms(self) -> int:
        """How much audio has been generated."""
        return self._audio_ms

    def begin(self, add_to_conversation: Add) -> None:
        """Open the message; `add_to_conversation` returns the item before it."""
        spoken = self._modality == "audio"
        empty = "transcript" if spoken else "text"
        announced: Item = {
            "id": self._item_id,
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        kind = "output_audio" if spoken else "output_text"
        self.item = {**announced, "content": [{"type": kind, empty: ""}]}
        self._emit(
            {
                "type": "response.output_item.added",
                "response_id": self.response_id,
                "output_index": 0,
                "item": announced,
            }
        )
        if self.in_conversation:
            previous = add_to_conversation(self.item)
            self._emit(
                {
                    "type": "conversation.item.added",
                    "previous_item_id": previous,
                    "item": announced,
                }
            )
            self._previous = previous
        self._part("added", {"type": self._modality, empty: ""})

    def say(self, delta: str) -> None:
        """Add text: the transcript of the speech, or the answer itself."""
        self._text.append(delta)
        spoken = self._modality == "audio"
        kind = "output_audio_transcript" if spoken else "output_text"
        self._emit({**self._ids(f"response.{kind}.delta"), "delta": delta})

    def sound(self, encoded: bytes, ms: int) -> None:
        """Add audio, as it goes onto the wire; WebRTC carries it elsewhere."""
        self._audio_ms += ms
        if not self._stream_audio:
            return
        for at in range(0, len(encoded), _CHUNK_BYTES):
            chunk = base64.b64encode(encoded[at : at + _CHUNK_BYTES]).decode()
            self._emit({**self._ids("response.output_audio.delta"), "delta": chunk})

    def close(
        self,
        status: Literal["completed", "cancelled", "failed", "incomplete"],
        *,
        reason: str | None = None,
        error: dict[str, str] | None = None,
        usage: dict[str, Any] | None = None,
    ) -> None:
        """Emit every `.done` that is owed, whatever the reason."""
        if self.item is not None:
            self._close_item("completed" if status == "completed" else "incomplete")
        self._response["status"] = status
        if status != "completed":
            details = {"type": status, "reason": reason, "error": error}
            self._response["status_details"] = {
                k: v for k, v in details.items() if v is not None
            }
        self._response["output"] = [_snapshot(self.item)] if self.item else []
        self._response["usage"] = usage
        self._emit({"type": "response.done", "response": self._response})

    def _close_item(self, status: str) -> None:
        assert self.item is not None
        text = self.text
        if self._modality == "audio":
            self._emit(self._ids("response.output_audio.done"))
            done = self._ids("response.output_audio_transcript.done")
            self._emit({**done, "transcript": text})
            self._part("done", {"type": "audio", "transcript": text})
            kept = "" if self.truncated else text
            content = {"type": "output_audio", "transcript": kept}
        else:
            self._emit({**self._ids("response.output_text.done"), "text": text})
            self._part("done", {"type": "text", "text": text})
            content = {"type": "output_text", "text": text}
        self.item["content"] = [content]
        self.item["status"] = status
        if self.in_conversation:
            self._emit(
                {
                    "type": "conversation.item.done",
                    "previous_item_id": self._previous,
                    "item": _snapshot(self.item),
                }
            )
        self._emit(
            {
                "type": "response.output_item.done",
                "response_id": self.response_id,
                "output_index": 0,
                "item": _snapshot(self.item),
            }
        )

    def _part(self, moment: str, part: dict[str, str]) -> None:
        self._emit({**self._ids(f"response.content_part.{moment}"), "part": part})

    def _ids(self, kind: str) -> Event:
        return {
            "type": kind,
            "response_id": self.response_id,
            "item_id": self._item_id,
            "output_index": 0,
            "content_index": 0,
        }


def usage(
    *, text_in: str, text_out: str, audio_in_ms: int, audio_out_ms: int
) -> dict[str, Any]:
    """Estimate what a response would have been billed as.

    Four characters a token; 100 ms of input and 50 ms of output audio a token, as
    OpenAI's pricing page counts.
    """
    text = (len(text_in) + 3) // 4
    heard = audio_in_ms // 100
    spoken = audio_out_ms // _MS_PER_AUDIO_TOKEN
    written = (len(text_out) + 3) // 4
    cached = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
    return {
        "total_tokens": text + heard + spoken + written,
        "input_tokens": text + heard,
        "output_tokens": spoken + written,
        "input_token_details": {
            "text_tokens": text,
            "audio_tokens": heard,
            "image_tokens": 0,
            "cached_tokens": 0,
            "cached_tokens_details": cached,
        },
        "output_token_details": {"text_tokens": written, "audio_tokens": spoken},
    }


def _snapshot(item: Item) -> Item:
    """Copy an item as it is now: later changes must not reach a sent event."""
    return {**item, "content": [dict(part) for part in item["content"]]}
