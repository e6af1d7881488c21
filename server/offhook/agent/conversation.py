"""The items of a conversation, as a transport tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offhook.protocol.items import Item


class Conversation:
    """Items in order, whichever transport tells them.

    Attributes:
        items: As `protocol.history` describes them; replaced when they change, never
            written to.
    """

    def __init__(self) -> None:
        self.items: list[Item] = []

    def update(self, item: Item) -> bool:
        """Put an item where it belongs, and return whether it is new."""
        at = self._index(item["item_id"])
        if at is not None:
            self.items[at] = item
            return False
        previous = item.get("previous_item_id", ...)
        if previous is None:
            self.items.insert(0, item)
        elif (after := self._index(previous)) is not None:
            self.items.insert(after + 1, item)
        else:
            self.items.append(item)
        return True

    def delete(self, item_id: str) -> None:
        """Remove an item, if it is there."""
        self.items = [item for item in self.items if item["item_id"] != item_id]

    def _index(self, item_id: object) -> int | None:
        found = (at for at, item in enumerate(self.items) if item["item_id"] == item_id)
        return next(found, None)
