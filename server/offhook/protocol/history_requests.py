"""Edits of the conversation that are on their way.

A history changes when the server says so, and until then another edit may be asked for.
It has to be one of the conversation as it will be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from offhook.protocol.history_edits import edits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offhook.events import Event
    from offhook.protocol.items import Item


class _Request(NamedTuple):
    item_id: str
    # What is created, and after what; nothing is created by a deletion.
    item: Item | None = None
    previous: str | None = None


class HistoryRequests:
    """Makes events of edits, and remembers them until they are answered."""

    def __init__(self) -> None:
        self._pending: dict[str, _Request] = {}
        self._count = 0

    def rewrite(
        self, old: Sequence[Item], new: Sequence[Item]
    ) -> tuple[list[Event], list[str]]:
        """Return what to send so that the conversation becomes the new one.

        Args:
            old: As the server last told it.
            new: See `history_edits.edits`, also for what is returned and raised.
        """
        expected = self._expected(old)
        events, warnings = edits(expected, new, first=self._count + 1)
        self._count += len(events)
        wanted = {item["item_id"]: item for item in new}
        for event in events:
            if event["type"] == "conversation.item.delete":
                request = _Request(event["item_id"])
            else:
                item_id, previous = event["item"]["id"], event.get("previous_item_id")
                request = _Request(item_id, wanted[item_id], previous)
            self._pending[event["event_id"]] = request
        return events, warnings

    def take(self, event: Event) -> None:
        """Take a server event; the answers to edits matter."""
        match event:
            case {"type": "conversation.item.deleted", "item_id": item_id}:
                self._settle(item_id, creates=False)
            case {
                "type": "conversation.item.added" | "conversation.item.created",
                "item": {"id": item_id},
            }:
                self._settle(item_id, creates=True)
            case {"type": "error", "error": {"event_id": str(event_id)}}:
                self._pending.pop(event_id, None)

    def reset(self) -> None:
        """Expect no answers: the connection is gone. Event ids go on counting."""
        self._pending.clear()

    def _settle(self, item_id: str, *, creates: bool) -> None:
        for event_id, request in self._pending.items():
            if request.item_id == item_id and (request.item is not None) == creates:
                del self._pending[event_id]
                return

    def _expected(self, old: Sequence[Item]) -> list[Item]:
        items = list(old)
        for request in self._pending.values():
            ids = [item.get("item_id") for item in items]
            if request.item is None:
                if request.item_id in ids:
                    del items[ids.index(request.item_id)]
            elif request.item_id not in ids:
                at = len(items)
                if request.previous == "root":
                    at = 0
                elif request.previous in ids:
                    at = ids.index(request.previous) + 1
                items.insert(at, request.item)
        return items
