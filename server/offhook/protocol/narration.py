"""What a transport tells, as the server events of the Realtime API.

A transport of a user's own may lead to a model with events of another kind. A caller's
page knows only those of the Realtime API: here the one is told in the words of the
other, in the order in which OpenAI's server tells them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from offhook.events import Event
    from offhook.protocol import transport_events as told


class _Kind(NamedTuple):
    """How words come: the part that they are, its field, and the events' name."""

    part: str
    field: str
    event: str


_SPOKEN = _Kind("output_audio", "transcript", "response.output_audio_transcript")
_WRITTEN = _Kind("output_text", "text", "response.output_text")
_COMPLETED = "conversation.item.input_audio_transcription.completed"


@dataclass
class _Open:
    """The message that is being said."""

    item_id: str
    kind: _Kind
    words: str = ""


class Narration:
    """One session; each method takes what was told, and returns the events."""

    def __init__(self) -> None:
        self._last: str | None = None
        self._known: set[str] = set()
        self._response: str | None = None
        self._open: _Open | None = None
        self._output: list[Event] = []

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
        self._response, self._output = turn.response_id, []
        response = self._told(turn.response_id, "in_progress")
        return [{"type": "response.created", "response": response}]

    def turn_done(self, turn: told.TurnDone) -> list[Event]:
        """A response has ended, and so has what was said in it."""
        status = "completed" if turn.status == "completed" else "incomplete"
        events = self._end(status)
        self._response = None
        response = self._told(turn.response_id, turn.status)
        return [*events, {"type": "response.done", "response": response}]

    def transcript_delta(self, delta: told.Delta) -> list[Event]:
        """More words of what is spoken."""
        return self._say(delta.item_id, _SPOKEN, delta.delta)

    def text_delta(self, delta: told.Delta) -> list[Event]:
        """More words of what is written."""
        return self._say(delta.item_id, _WRITTEN, delta.delta)

    def item_update(self, update: told.ItemUpdate) -> list[Event]:
        """A message is there; what else is in a history stays with the server."""
        item = update.item
        item_id, role = item.get("item_id"), item.get("role")
        ended = item.get("status", "completed") != "in_progress"
        if item.get("type") != "message" or not isinstance(item_id, str) or not ended:
            return []
        if item_id in self._known:
            return []
        content = [part for part in item.get("content") or [] if isinstance(part, dict)]
        if role == "assistant" and self._response is not None:
            words = " ".join(str(p.get("transcript") or p.get("text")) for p in content)
            return [*self._say(item_id, _SPOKEN, words), *self._end("completed")]
        wire = _message(item_id, role, content, "completed")
        heard = [
            {
                "type": _COMPLETED,
                "item_id": item_id,
                "content_index": index,
                "transcript": part["transcript"],
            }
            for index, part in enumerate(content if role == "user" else [])
            if isinstance(part.get("transcript"), str)
        ]
        placed = self._place(item_id, wire)
        done = {**placed, "type": "conversation.item.done"}
        return [{**placed, "type": "conversation.item.added"}, done, *heard]

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

    def _say(self, item_id: str, kind: _Kind, words: str) -> list[Event]:
        events: list[Event] = []
        if self._open is None or self._open.item_id != item_id:
            events += self._end("completed")
            events += self._begin(item_id, kind)
        if self._open:
            self._open.words += words
            at = self._at(self._open)
            events.append({"type": f"{kind.event}.delta", **at, "delta": words})
        return events

    def _begin(self, item_id: str, kind: _Kind) -> list[Event]:
        self._open = _Open(item_id, kind)
        wire = _message(item_id, "assistant", [], "in_progress")
        at = self._at(self._open)
        return [
            {"type": "response.output_item.added", **_of_item(at), "item": wire},
            {**self._place(item_id, wire), "type": "conversation.item.added"},
            {"type": "response.content_part.added", **at, "part": _part(kind, "")},
        ]

    def _end(self, status: str) -> list[Event]:
        said, self._open = self._open, None
        if said is None:
            return []
        kind, at = said.kind, self._at(said)
        part = {"type": kind.part, kind.field: said.words}
        wire = _message(said.item_id, "assistant", [part], status)
        self._output.append(wire)
        audio_done = {"type": "response.output_audio.done", **at}
        return [
            *([audio_done] if kind is _SPOKEN else []),
            {"type": f"{kind.event}.done", **at, kind.field: said.words},
            {
                "type": "response.content_part.done",
                **at,
                "part": _part(kind, said.words),
            },
            {"type": "conversation.item.done", "item": wire},
            {"type": "response.output_item.done", **_of_item(at), "item": wire},
        ]

    def _at(self, said: _Open) -> Event:
        return {
            "response_id": self._response or "",
            "item_id": said.item_id,
            "output_index": len(self._output),
            "content_index": 0,
        }

    def _place(self, item_id: str, wire: Event) -> Event:
        previous, self._last = self._last, item_id
        self._known.add(item_id)
        return {"previous_item_id": previous, "item": wire}

    def _told(self, response_id: str, status: str) -> Event:
        return {
            "id": response_id,
            "object": "realtime.response",
            "conversation_id": "conv_offhook",
            "status": status,
            "output": list(self._output),
        }


def _message(item_id: str, role: Any, content: list[Event], status: str) -> Event:
    own = {"id": item_id, "object": "realtime.item", "type": "message"}
    return {**own, "role": role, "content": content, "status": status}


def _part(kind: _Kind, words: str) -> Event:
    return {"type": kind.part.removeprefix("output_"), kind.field: words}


def _of_item(at: Event) -> Event:
    return {name: at[name] for name in ("response_id", "output_index")}
