"""What `official_order` knows of a conversation, and what a response makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Event = dict[str, Any]
Handlers = dict[str, "Callable[[Event], None]"]

_ITEM = "conversation.item"


class Notes:
    """What is wrong, in the order in which it was found.

    Attributes:
        complaints: So far.
        whole: Whether the record begins with the session.
    """

    def __init__(self, *, whole: bool) -> None:
        self.complaints: list[str] = []
        self.whole = whole
        self.at = -1
        self._kind = ""

    def turn_to(self, kind: str) -> None:
        """Take note that the next event is of this type."""
        self.at += 1
        self._kind = kind

    def complain(self, what: str) -> None:
        """Note what is wrong about the event."""
        self.complaints.append(f"{self.at} {self._kind}: {what}")

    def check(self, fine: object, what: str) -> None:
        """Note what is wrong unless it is fine."""
        if not fine:
            self.complain(what)


@dataclass
class Part:
    """A content part of an answer.

    Attributes:
        kind: `audio` or `text`.
        words: What it says, as it came.
        done: Its streams that have ended.
        closed: Whether `content_part.done` came.
    """

    kind: str
    words: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    closed: bool = False

    @property
    def said(self) -> str:
        """All that it says."""
        return "".join(self.words)


@dataclass
class Output:
    """An item that a response makes.

    Attributes:
        index: Its output_index.
        announced: As `response.output_item.added` had it.
        parts: Its content.
        arguments: What came of them so far, for the call of a tool.
        called: All of them, once they are done.
        closed: As `response.output_item.done` had it.
    """

    index: int
    announced: Event
    parts: list[Part] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    called: str | None = None
    closed: Event | None = None

    @property
    def outlives(self) -> bool:
        """Whether its response may be done before it is."""
        return bool(self.announced["type"] == "mcp_call")


class Conversation:
    """The items of the default conversation, and the neighbours of each.

    Attributes:
        due: Who must come in next, in this order.
        made: What responses make, in the conversation or apart from it.
        committed: The `previous_item_id` of the caller's turns.
        open_turn: The id of the turn that the caller is at.
        truncated: What was cut.
    """

    def __init__(self, notes: Notes) -> None:
        self.due: list[str] = []
        self.made: dict[str, Output] = {}
        self.committed: dict[str, str | None] = {}
        self.open_turn: str | None = None
        self.truncated: set[str] = set()
        self._notes = notes
        self._before: dict[str, str | None] = {}
        self._after: dict[str | None, str | None] = {}
        self._last: str | None = None
        self._done: dict[str, bool] = {}
        self._previous: dict[str, str | None] = {}
        self._gone: set[str] = set()

    def handlers(self) -> Handlers:
        """Return what takes which event."""
        return {
            f"{_ITEM}.added": self._added,
            f"{_ITEM}.done": self._finished,
            f"{_ITEM}.deleted": self._deleted,
            f"{_ITEM}.truncated": self._cut,
            f"{_ITEM}.retrieved": lambda event: self.expect(event["item"]["id"]),
        }

    def expect(self, item_id: str) -> None:
        """Check that there is, or was, such an item."""
        self._notes.check(
            not self._notes.whole or item_id in self._before or item_id in self._gone,
            f"{item_id} is not in the conversation",
        )

    def is_done(self, item_id: str) -> bool:
        """Whether an item was done, or is gone."""
        return self._done.get(item_id, item_id in self._gone)

    def is_gone(self, item_id: str) -> bool:
        """Whether an item was deleted."""
        return item_id in self._gone

    def complete(self, item: Event, output: Output) -> None:
        """Check an item that is done against what came of it."""
        self._notes.check(status(item) != "in_progress", "in progress")
        self._notes.check(all(part.closed for part in output.parts), "with open parts")
        if item["type"] == "message":
            said = [whole_of(part) for part in item["content"]]
            came = [part.said for part in output.parts]
            if item["id"] in self.truncated:
                came = [""] * len(came)
            self._notes.check(said == came, f"says {said}, and its parts {came}")
        elif item["type"] in ("function_call", "mcp_call"):
            fine = output.called == item["arguments"]
            self._notes.check(fine or item["status"] == "incomplete", "other arguments")

    def settle(self) -> None:
        """Check that nothing is under way."""
        for item_id in self.due:
            self._notes.complain(f"{item_id} never came into the conversation")
        for item_id, done in self._done.items():
            self._notes.check(done, f"{item_id} was never done")

    def _added(self, event: Event) -> None:
        item, previous = event["item"], event.get("previous_item_id")
        item_id = item["id"]
        if item_id in self._gone:
            # The client has deleted it, and makes another of the same name.
            self._gone.remove(item_id)
            self.made.pop(item_id, None)
            self.committed.pop(item_id, None)
        self._notes.check(item_id not in self._before, f"{item_id} is there already")
        self._notes.check(item_id != self.open_turn, "a turn that was not committed")
        if item_id in self.due:
            self._notes.check(self.due[0] == item_id, f"{self.due[0]} is due first")
            self.due.remove(item_id)
            if self._notes.whole:
                self._notes.check(
                    previous == self._last, f"the last one is {self._last}"
                )
        elif item_id in self.made:
            self._notes.complain(f"{item_id} is no longer due")
        if item_id in self.committed:
            same = previous == self.committed[item_id]
            self._notes.check(same, "another previous_item_id than when committed")
        if output := self.made.get(item_id):
            self._notes.check(
                item.get("status") in (None, "in_progress"), "not in progress"
            )
            self._notes.check(not output.parts, "after its content")
        if previous is not None:
            self.expect(previous)
        self._insert(item_id, previous)
        self._done[item_id] = False
        self._previous[item_id] = previous

    def _finished(self, event: Event) -> None:
        item, previous = event["item"], event.get("previous_item_id")
        item_id = item["id"]
        if item_id not in self._done:
            if self._notes.whole:
                self._notes.check(item_id in self._gone, f"{item_id} was not added")
            return
        self._notes.check(not self._done[item_id], f"{item_id} was done before")
        self._done[item_id] = True
        same = previous is None or previous == self._previous[item_id]
        self._notes.check(same, "another previous_item_id than when added")
        if output := self.made.get(item_id):
            self._notes.check(output.closed is None, "after response.output_item.done")
            self.complete(item, output)

    def _deleted(self, event: Event) -> None:
        item_id = event["item_id"]
        self.expect(item_id)
        self._gone.add(item_id)
        self._done.pop(item_id, None)
        if item_id in self._before:
            before, after = self._before.pop(item_id), self._after.pop(item_id)
            self._link(before, after)

    def _cut(self, event: Event) -> None:
        self.expect(event["item_id"])
        self.truncated.add(event["item_id"])

    def _insert(self, item_id: str, previous: str | None) -> None:
        # One who joined late does not know the neighbours.
        if previous is not None and previous not in self._before:
            previous = self._last
        after = self._after.get(previous)
        self._link(previous, item_id)
        self._link(item_id, after)

    def _link(self, before: str | None, after: str | None) -> None:
        self._after[before] = after
        if after is None:
            self._last = before
        else:
            self._before[after] = before


def whole_of(part: Event) -> str:
    """Return what a part says, wherever it says it."""
    return str(part.get("transcript", part.get("text", "")))


def status(item: Event) -> str:
    """Return how far an item is; some kinds of items have no way to go."""
    return str(item.get("status") or "completed")
