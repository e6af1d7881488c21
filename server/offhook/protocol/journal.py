"""What happens in a call, folded from the raw server events of the Realtime API.

Sans-IO: the events come from a sideband, from a bridged call's model, or from a
WebSocket that is relayed; the time since the call began comes with each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offhook.protocol.caller_turns import CallerTurns
from offhook.protocol.entries import MOST_ID, MOST_TEXT, Entry, Who, entry
from offhook.protocol.model_turns import ModelTurns
from offhook.protocol.tool_runs import ToolRuns
from offhook.protocol.usage import Totals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offhook.events import Event

__all__ = ["Entry", "Journal"]

# An hour of lively talk has about a thousand; of what is longer the rest is not kept.
_MOST_ENTRIES = 10_000
_MOST_CHARACTERS = 4 * 2**20
# Items that were noted, so that they are noted once, and sounds that play.
_RECENT = 64
# The most frequent, which only the model's turns are made of.
_OF_SOUND = ("response.output_audio.delta", "response.output_audio_transcript.delta")
_ADDED = ("conversation.item.added", "conversation.item.created")
_SOUND = "offhook.sound."
_OURS = "offhook."
_AUTHORS: dict[str, Who] = {"user": "caller", "system": "server"}


class Journal:
    """The journal of one call.

    Bounded, whatever the upstream sends: what does not fit any more is not noted, and
    the last entry says so.

    Attributes:
        entries: What has happened, in the order in which it was over.
        usage: What the responses were billed as.
        first_audio_ms: For each turn that was answered by voice, how long after the
            caller's last word.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.usage = Totals()
        self.first_audio_ms: list[int] = []  # bounded by the entries
        self._now = 0.0
        self._caller = CallerTurns()
        self._model = ModelTurns()
        self._tools = ToolRuns()
        self._noted: dict[str, None] = {}  # bounded by _RECENT
        self._sounds: dict[str, tuple[float, dict[str, Any]]] = {}  # likewise
        self._room = _MOST_CHARACTERS
        self._full = False

    def take(self, event: Event, at_ms: float) -> list[Entry]:
        """Take a server event.

        Args:
            event: The event, known or not, in whatever shape.
            at_ms: The time since the call began. A clock that goes back stands still.

        Returns:
            What is over with it.
        """
        self._now = now = max(self._now, at_ms)
        told = self._model.take(event, now, self._caller.ended_ms)
        if self._model.sounded is not None:
            self._answered(self._model.sounded)
        if event.get("type") in _OF_SOUND:
            return self._keep(told)
        self.usage.take(event)
        told += self._caller.take(event, now)
        told += self._tools.take(event, now)
        told += self._simple(event)
        return self._keep(told)

    def mark(self, text: str, at_ms: float, **data: Any) -> list[Entry]:
        """Note something of the server's own, and return it."""
        self._now = max(self._now, at_ms)
        return self._keep([entry("mark", "server", self._now, self._now, text, data)])

    def end(self, at_ms: float) -> list[Entry]:
        """Say that the call has ended, and return what ended with it."""
        self._now = now = max(self._now, at_ms)
        told = [*self._caller.end(now), *self._model.end(now), *self._tools.end(now)]
        told += [self._silenced(sound) for sound in list(self._sounds)]
        told.sort(key=lambda entry: entry.ends_ms)
        return self._keep(told)

    def _answered(self, first_audio_ms: float) -> None:
        self._caller.answered()
        if not self._full:
            self.first_audio_ms.append(round(first_audio_ms))

    def _simple(self, event: Event) -> list[Entry]:
        """Note what needs no memory, or little."""
        now = self._now
        match event:
            case {"type": kind, "item": {"type": "message", **item}} if kind in _ADDED:
                return self._message(item)
            case {"type": "error", "error": dict(error)}:
                return [_mark("error", error, now)]
            case {
                "type": "response.done",
                "response": {
                    "status": "failed",
                    "status_details": {"error": dict(error)},
                },
            }:
                return [_mark("response.failed", error, now)]
            case {"type": "input_audio_buffer.dtmf_event_received", "event": str(key)}:
                data = {"event": "dtmf"}
                return [entry("mark", "caller", now, now, key[:MOST_ID], data)]
            case {"type": str(kind)} if kind.startswith(_SOUND):
                return self._sound(kind.removeprefix(_SOUND), event)
            case {"type": str(kind)} if kind.startswith(_OURS):
                return [entry("mark", "server", now, now, kind[:MOST_ID])]
        return []

    def _message(self, item: Mapping[Any, Any]) -> list[Entry]:
        """Note what was written, not said; answers are told by their responses."""
        who = _AUTHORS.get(str(item.get("role")))
        item_id, content = item.get("id"), item.get("content")
        if who is None or not isinstance(item_id, str) or not isinstance(content, list):
            return []
        parts = [part for part in content if isinstance(part, dict)]
        texts = [p["text"] for p in parts if isinstance(p.get("text"), str)]
        images = sum(part.get("type") == "input_image" for part in parts)
        if item_id in self._noted or not (texts or images):
            return []
        self._noted[item_id] = None
        if len(self._noted) > _RECENT:
            del self._noted[next(iter(self._noted))]
        data: dict[str, Any] = {"item_id": item_id[:MOST_ID], "modality": "text"}
        if images:
            data["images"] = images
        if who == "caller":
            self._caller.answered()  # by the answer to this
        return [entry("turn", who, self._now, self._now, "\n".join(texts), data)]

    def _sound(self, what: str, event: Event) -> list[Entry]:
        data = {
            name: value[:MOST_ID]
            for name in ("name", "to")
            if isinstance(value := event.get(name), str)
        }
        key = " ".join(data.values())
        if what == "started":
            told = [self._silenced(key)] if key in self._sounds else []
            self._sounds[key] = (self._now, data)
            if len(self._sounds) > _RECENT:
                told.append(self._silenced(next(iter(self._sounds))))
            return told
        return [self._silenced(key)] if key in self._sounds else []

    def _silenced(self, key: str) -> Entry:
        began, data = self._sounds.pop(key)
        return entry("sound", "server", began, self._now, data.get("name", ""), data)

    def _keep(self, told: list[Entry]) -> list[Entry]:
        kept: list[Entry] = []
        for each in told:
            if self._full:
                break
            self._room -= len(each.text) + len(str(each.data))
            if self._room < 0 or len(self.entries) + 1 >= _MOST_ENTRIES:
                self._full = True
                each = entry("mark", "server", self._now, self._now, "journal.full")
            kept.append(each)
            self.entries.append(each)
        return kept


def _mark(what: str, error: dict[str, Any], now: float) -> Entry:
    said = error.get("message")
    data = {"event": what}
    if isinstance(error.get("code"), str):
        data["code"] = error["code"][:MOST_ID]
    text = said[:MOST_TEXT] if isinstance(said, str) else ""
    return entry("mark", "server", now, now, text, data)
