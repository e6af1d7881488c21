"""The conversation as a client knows it, folded from the server's events.

An item is a dict as on the wire, with two names of its own: `item_id` for `id`, and
`previous_item_id` where the server told it (None is the beginning). A `function_call`
also has its `output`, an `mcp_approval_request` whether it was `approved`; both are
None until the answer is there. As in @openai/agents-realtime 0.20, a call is
`in_progress` until then, and lists of MCP tools are no part of a history.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offhook.events import Event
    from offhook.protocol.items import Item

_SHOWN = (
    "message",
    "function_call",
    "mcp_call",
    "mcp_tool_call",  # the older name of an mcp_call
    "mcp_approval_request",
)
# What answers an item, and the field that says which one.
_ANSWERS = {
    "function_call_output": "call_id",
    "mcp_approval_response": "approval_request_id",
}
# The older names of what an assistant's message is made of.
_PARTS = {"text": "output_text", "audio": "output_audio"}
_FILLED = ("text", "transcript", "audio")
# Where words come in pieces: the part they belong to.
_STREAMS = {
    "response.output_text": "output_text",
    "response.output_audio_transcript": "output_audio",
    "conversation.item.input_audio_transcription": "input_audio",
}


@dataclass(frozen=True)
class Change:
    """What an event did to the history.

    Attributes:
        item: As it is now, or was before it was deleted; a copy.
    """

    kind: Literal["added", "updated", "deleted"]
    item: Item


class History:
    """Items in order; those that are not shown keep their places all the same."""

    def __init__(self, *, keep_audio: bool = False) -> None:
        self._keep_audio = keep_audio
        self._order: list[str] = []
        # An item is replaced when it changes, never written to.
        self._items: dict[str, Item] = {}
        # By the id of a predecessor that has not come yet.
        self._waiting: dict[str, list[str]] = {}
        # The items with the answers, by what they answer.
        self._answers: dict[str, str] = {}
        # Responses beside the conversation.
        self._aside: set[str] = set()

    @property
    def items(self) -> tuple[Item, ...]:
        """Copies of the items, in the order of the conversation."""
        shown = (self._shown(item_id) for item_id in self._order)
        return tuple(item for item in shown if item)

    def get(self, item_id: str) -> Item | None:
        """Return a copy of an item, if it is there to be shown."""
        return self._shown(item_id)

    def known(self, item_id: Any) -> Item:
        """Return an item as it came, shown or not, or else an empty one."""
        return copy.deepcopy(self._items.get(str(item_id), {}))

    def replace(self, items: Iterable[Item] = ()) -> None:
        """Begin anew, for example at a new connection."""
        self._aside.clear()
        self._answers.clear()
        self._waiting.clear()
        self._items.clear()
        for item in items:
            self._items[item["item_id"]] = copy.deepcopy(item)
        self._order = list(self._items)

    def take(self, event: Event) -> list[Change]:
        """Apply a server event; what is unknown or malformed changes nothing."""
        family, _, moment = str(event.get("type")).rpartition(".")
        item, item_id = event.get("item"), str(event.get("item_id"))
        match family, moment:
            case "response", "created" | "done":
                self._take_response(event.get("response"), moment)
            case "conversation.item", "created" | "added" | "done" | "retrieved":
                return self._take_item(item, moment, event)
            case "response.output_item", "added" | "done":
                if str(event.get("response_id")) not in self._aside:
                    return self._take_item(item, moment, {})
            case "conversation.item", "deleted" if item_id in self._items:
                return self._change(item_id, None)
            case _ if family in _STREAMS and item_id in self._items:
                return self._hear(item_id, _STREAMS[family], moment, event)
        return []

    def _take_response(self, response: Any, moment: str) -> None:
        if isinstance(response, dict):
            response_id = str(response.get("id"))
            if moment == "done":
                self._aside.discard(response_id)
            elif response.get("conversation_id", "") is None:
                self._aside.add(response_id)

    def _take_item(self, wire: Any, moment: str, event: Event) -> list[Change]:
        if not isinstance(wire, dict) or not all(
            isinstance(wire.get(name), str) for name in ("id", "type")
        ):
            return []
        item = _kept(wire, moment, keep_audio=self._keep_audio)
        known = self._items.get(item["item_id"], {})
        if "content" in item and "content" in known:
            item["content"] = _completed(item["content"], known["content"])
        previous = event.get("previous_item_id", ...)
        # OpenAI sends null in `done` for assistants' items wherever they stand.
        if isinstance(previous, str) or (previous is None and moment != "done"):
            item["previous_item_id"] = previous
        if "previous_item_id" in known:
            item["previous_item_id"] = known["previous_item_id"]
        return self._change(item["item_id"], item)

    def _hear(self, item_id: str, kind: str, moment: str, event: Event) -> list[Change]:
        item = self._items[item_id]
        field = "text" if kind == "output_text" else "transcript"
        words = event.get("delta" if moment == "delta" else field)
        if "content" not in item or not isinstance(words, str):
            return []
        content, index = list(item["content"]), event.get("content_index", 0)
        if index not in range(len(content) + 1):
            return []
        part = content[index] if index < len(content) else {"type": kind}
        if part.get("type") != kind:
            return []
        if moment != "completed":
            # An answer that was cut short ends without its words.
            known = str(part.get(field) or "")
            words = known + words if moment == "delta" else words or known
        content[index : index + 1] = [{**part, field: words}]
        done = {"status": "completed"} if moment == "completed" else {}
        return self._change(item_id, {**item, **done, "content": content})

    def _change(self, item_id: str, item: Item | None) -> list[Change]:
        """Set an item, or remove it, and tell what is different then."""
        touched = [item_id, *self._asked(item or self._items[item_id])]
        before = [self._shown(each) for each in touched]
        if item is None:
            self._remove(item_id)
        else:
            self._set(item_id, item)
        changes = []
        for old, each in zip(before, touched, strict=True):
            new = self._shown(each)
            if old is None and new is not None:
                changes.append(Change("added", new))
            elif old is not None and new is None:
                changes.append(Change("deleted", old))
            elif new is not None and new != old:
                changes.append(Change("updated", new))
        return changes

    def _set(self, item_id: str, item: Item) -> None:
        known = self._items.get(item_id)
        self._items[item_id] = item
        if item["type"] in _ANSWERS:
            self._answers[_reference(item)] = item_id
        if known is None:
            self._order.append(item_id)
        if "previous_item_id" in item and "previous_item_id" not in (known or {}):
            self._place(item_id)
        if known is None:
            for waiting in self._waiting.pop(item_id, ()):
                self._place(waiting)

    def _remove(self, item_id: str) -> None:
        item = self._items.pop(item_id)
        self._order.remove(item_id)
        if item["type"] in _ANSWERS:
            self._answers.pop(_reference(item), None)
        for waiting in self._waiting.values():
            if item_id in waiting:
                waiting.remove(item_id)

    def _place(self, item_id: str) -> None:
        """Put an item, and the run that came after it, where the server says."""
        end = start = self._order.index(item_id)
        while end < len(self._order) and (
            end == start or self._previous(end) == self._order[end - 1]
        ):
            end += 1
        run, rest = self._order[start:end], self._order[:start] + self._order[end:]
        previous = self._items[item_id]["previous_item_id"]
        if previous is None:
            self._order = run + rest
        elif previous in rest:
            at = rest.index(previous) + 1
            self._order = rest[:at] + run + rest[at:]
        else:
            self._order = rest + run
            self._waiting.setdefault(previous, []).append(item_id)

    def _previous(self, index: int) -> str | None:
        previous: str | None = self._items[self._order[index]].get("previous_item_id")
        return previous

    def _asked(self, answer: Item) -> list[str]:
        """Return the items that an item answers."""
        if answer["type"] not in _ANSWERS:
            return []
        reference = _reference(answer)
        items = self._items.values()
        return [i["item_id"] for i in items if _question(i) == reference]

    def _shown(self, item_id: str) -> Item | None:
        item = self._items.get(item_id)
        if item is None or item["type"] not in _SHOWN:
            return None
        item = copy.deepcopy(item)
        answer = self._items.get(self._answers.get(_question(item) or "", ""), {})
        if item["type"] == "function_call":
            item["output"] = answer.get("output", item.get("output"))
            if item["output"] is not None:
                item["status"] = "completed"
            elif item["status"] == "completed":
                item["status"] = "in_progress"
        elif item["type"] == "mcp_approval_request":
            item["approved"] = answer.get("approve", item.get("approved"))
        return item


def _kept(wire: Item, moment: str, *, keep_audio: bool) -> Item:
    """Return an item of the server's as a history keeps it."""
    item = {"item_id": wire["id"], **copy.deepcopy(wire)}
    content = item.pop("content", None)
    for name in ("id", "object", "previous_item_id"):
        item.pop(name, None)
    begun = moment in ("created", "added")
    if item["type"] in ("mcp_call", "mcp_tool_call"):
        ended = moment == "done" or item.get("output") is not None or item.get("error")
        item["status"] = "completed" if ended else "in_progress"
    elif item["type"] in ("message", "function_call") and not item.get("status"):
        item["status"] = "in_progress" if begun else "completed"
    if item["type"] == "message":
        parts = content if isinstance(content, list) else []
        item["content"] = [part for part in parts if isinstance(part, dict)]
        for part in item["content"]:
            if item.get("role") == "assistant":
                part["type"] = _PARTS.get(str(part.get("type")), part.get("type"))
            if not keep_audio:
                part.pop("audio", None)
    return item


def _completed(content: list[Item], known: list[Item]) -> list[Item]:
    """Keep what is known where nothing comes in its place.

    The server forgets the words of an answer that was cut short, and tells those of an
    open one late.
    """
    completed = []
    for new, old in zip_longest(content, known):
        part = {**(old if new is None else new)}
        if new and old and new.get("type") == old.get("type"):
            part |= {k: old[k] for k in _FILLED if old.get(k) and not new.get(k)}
        completed.append(part)
    return completed


def _reference(answer: Item) -> str:
    return str(answer.get(_ANSWERS[answer["type"]]))


def _question(item: Item) -> str | None:
    """Return what the answer to an item refers to."""
    match item["type"]:
        case "function_call":
            return str(item.get("call_id"))
        case "mcp_approval_request":
            return str(item["item_id"])
    return None
