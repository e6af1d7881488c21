"""What a transport tells, as the server events of the Realtime API.

A transport of a user's own may lead to a model with events of another kind. A caller's
page knows only those of the Realtime API: here the one is told in the words of the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from offhook.events import Event
    from offhook.protocol import transport_events as told

_PLACE = {"output_index": 0, "content_index": 0}


class Narration:
    """One session; each method takes what was told, and returns the events."""

    def __init__(self) -> None:
        self._begun: set[str] = set()
        self._done: set[str] = set()
        self._last: str | None = None

    @property
    def listeners(self) -> dict[str, Callable[[Any], list[Event]]]:
        """Each method, by the name of what it takes."""
        return {
            "turn_started": self.turn_started,
            "turn_done": self.turn_done,
            "item_update": self.item_update,
            "audio_transcript_delta": self.transcript_delta,
            "output_text_delta": self.text_delta,
            "error": self.error,
        }

    def turn_started(self, turn: told.TurnStarted) -> list[Event]:
        """A response begins."""
        response = _response(turn.response_id, "in_progress", [])
        return [{"type": "response.created", "response": response}]

    def turn_done(self, turn: told.TurnDone) -> list[Event]:
        """A response has ended."""
        response = _response(turn.response_id, turn.status, [])
        return [{"type": "response.done", "response": response}]

    def item_update(self, update: told.ItemUpdate) -> list[Event]:
        """A message is new, or done; what else is in a history stays with the server."""
        item = update.item
        item_id = item.get("item_id")
        if item.get("type") != "message" or not isinstance(item_id, str):
            return []
        status = item.get("status") or "completed"
        told = {key: value for key, value in item.items() if key in _SHOWN}
        wire = {"id": item_id, "object": "realtime.item", **told, "status": status}
        events: list[Event] = []
        if item_id not in self._begun:
            self._begun.add(item_id)
            added = {"previous_item_id": self._last, "item": wire}
            events.append({"type": "conversation.item.added", **added})
            self._last = item_id
        if status != "in_progress" and item_id not in self._done:
            self._done.add(item_id)
            events += _heard(wire)
            events.append({"type": "conversation.item.done", "item": wire})
        return events

    def transcript_delta(self, delta: told.Delta) -> list[Event]:
        """More words of what is spoken."""
        return [_delta("response.output_audio_transcript.delta", delta)]

    def text_delta(self, delta: told.Delta) -> list[Event]:
        """More words of what is written."""
        return [_delta("response.output_text.delta", delta)]

    def error(self, error: told.TransportError) -> list[Event]:
        """Something went wrong; what an exception says is nobody else's business."""
        known = error.error if isinstance(error.error, dict) else {}
        told = {
            "type": known.get("type") or "server_error",
            "code": known.get("code"),
            "message": known.get("message") or "The model could not be asked.",
            "param": known.get("param"),
            "event_id": error.event_id,
        }
        return [{"type": "error", "error": told}]


_SHOWN = ("type", "role", "content", "status")


def _response(response_id: str, status: str, output: list[Event]) -> Event:
    return {
        "id": response_id,
        "object": "realtime.response",
        "conversation_id": "conv_offhook",
        "status": status,
        "output": output,
    }


def _delta(kind: str, delta: told.Delta) -> Event:
    named = {"response_id": delta.response_id, "item_id": delta.item_id}
    return {"type": kind, **named, **_PLACE, "delta": delta.delta}


def _heard(wire: dict[str, Any]) -> list[Event]:
    """Tell what a caller said, as its transcription is told."""
    if wire.get("role") != "user":
        return []
    kind = "conversation.item.input_audio_transcription.completed"
    content = wire.get("content")
    return [
        {
            "type": kind,
            "item_id": wire["id"],
            "content_index": index,
            "transcript": part["transcript"],
        }
        for index, part in enumerate(content if isinstance(content, list) else [])
        if isinstance(part, dict) and isinstance(part.get("transcript"), str)
    ]
