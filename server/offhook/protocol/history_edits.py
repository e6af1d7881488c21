"""From one history to another, in client events.

The API knows no change of an item: what differs is deleted and created anew, at its
place. As in @openai/agents-realtime 0.20, first everything is deleted, and a new item
names the one before it only where another stays behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offhook.events import Event
    from offhook.protocol.items import Item

# Worth more than any number of items that can be created again.
_FIXED_WEIGHT = 1_000_000


def edits(
    old: Iterable[Item], new: Iterable[Item], *, first: int = 1
) -> tuple[list[Event], list[str]]:
    """Return what to send so that the server's conversation becomes the new one.

    Only messages can be created, and not with speech of the assistant's or with speech
    whose audio is gone: their transcripts are created as text. Whatever else is new is
    left out, and whatever else changed or moved stays as it is.

    Args:
        old: Items as `History` shows them.
        new: Likewise; those of the user's own making need an `item_id`, too.
        first: The number in the first event id.

    Returns:
        The events, and warnings about what could not be done as asked.

    Raises:
        InvalidRequest: An item of the new history has no id, or that of another.
    """
    before, after = _by_id(old), _by_id(new)
    made = {item_id: _creation(item) for item_id, item in after.items()}
    fixed = {item_id for item_id, wire in made.items() if wire is None}
    same = [
        item_id
        for item_id, item in after.items()
        if item_id in before and (item_id in fixed or _same(before[item_id], item))
    ]
    kept = _in_order(same, list(before), fixed)
    found = (_warning(item_id, before, after, made, kept) for item_id in after)
    warnings = [warning for warning in found if warning]
    gone = [item_id for item_id in before if item_id not in after]
    renewed = [i for i in after if i in before and i not in kept and i not in fixed]
    events: list[Event] = [
        {"type": "conversation.item.delete", "item_id": item_id}
        for item_id in (*gone, *renewed)
    ]
    events += _creations(made, kept)
    for number, event in enumerate(events, first):
        event["event_id"] = f"offhook_{event['type'].rpartition('.')[2]}_{number}"
    return events, warnings


def replay(items: Iterable[Item]) -> tuple[list[Event], list[str]]:
    """Return what to send to a new session so that it has this conversation.

    Speech becomes its transcript; what no client can create is left out.

    Args:
        items: As `History` shows them.

    Returns:
        The events, and warnings about what is left out.
    """
    wires: list[Item] = []
    warnings: list[str] = []
    for item in items:
        made = _calling(item) if item["type"] == "function_call" else [_creation(item)]
        found = [wire for wire in made if wire]
        if not found:
            warnings.append(
                f"{item['type']} '{item['item_id']}' is left out: a client cannot "
                "create it."
            )
        wires += found
    created = [{"type": "conversation.item.create", "item": wire} for wire in wires]
    return created, warnings


def _calling(item: Item) -> list[Item | None]:
    told = ("type", "call_id", "name", "arguments")
    call: Item = {"id": item["item_id"], **{name: item.get(name) for name in told}}
    if item.get("output") is None:
        return [call]
    output = {"type": "function_call_output", "call_id": item.get("call_id")}
    return [call, {**output, "output": item["output"]}]


def _creations(made: dict[str, Item | None], kept: set[str]) -> list[Event]:
    last = max((at for at, item_id in enumerate(made) if item_id in kept), default=-1)
    events: list[Event] = []
    previous = "root"
    for at, (item_id, wire) in enumerate(made.items()):
        if item_id in kept:
            previous = item_id
        elif wire is not None:
            event: Event = {"type": "conversation.item.create", "item": wire}
            if at < last:
                event["previous_item_id"] = previous
            events.append(event)
            previous = item_id
    return events


def _warning(
    item_id: str,
    before: dict[str, Item],
    after: dict[str, Item],
    made: dict[str, Item | None],
    kept: set[str],
) -> str | None:
    item = after[item_id]
    what = f"{item.get('type')} '{item_id}'"
    if made[item_id] is None:
        if item_id not in before:
            return f"{what} is left out: a client cannot create it."
        if not _same(before[item_id], item):
            return f"{what} stays as it was: a client cannot create it."
        if item_id not in kept:
            return f"{what} stays where it was: a client cannot create it."
    elif item_id not in kept and made[item_id] != _wire(item, item.get("content", [])):
        return f"The speech of {what} becomes text: its audio cannot be created."
    return None


def _creation(item: Item) -> Item | None:
    """Return the item of a `conversation.item.create`; None if there is none."""
    if item.get("type") != "message":
        return None
    parts = [_text(item, part) for part in item.get("content", [])]
    content = [part for part in parts if part]
    return _wire(item, content) if content else None


def _text(item: Item, part: dict[str, Any]) -> dict[str, Any] | None:
    if not str(part.get("type")).endswith("_audio"):
        return part
    if item.get("role") == "user" and part.get("audio"):
        return part
    kind = "output_text" if item.get("role") == "assistant" else "input_text"
    words = part.get("transcript")
    return {"type": kind, "text": words} if words else None


def _wire(item: Item, content: list[dict[str, Any]]) -> Item:
    wire = {
        "id": item["item_id"],
        "type": "message",
        "role": item.get("role"),
        "content": [
            {key: value for key, value in part.items() if value is not None}
            for part in content
        ],
    }
    if item.get("status") in ("completed", "incomplete"):
        wire["status"] = item["status"]
    if item.get("phase"):
        wire["phase"] = item["phase"]
    return wire


def _same(one: Item, other: Item) -> bool:
    """Whether two items say the same; where they stand is no matter."""
    return _said(one) == _said(other)


def _said(item: Item) -> Item:
    if item.get("type") == "message":
        wire = _wire(item, item.get("content", []))
        return {key: wire[key] for key in ("type", "role", "content")}
    told = ("type", "name", "arguments", "output", "call_id", "server_label")
    return {key: item[key] for key in told if item.get(key) is not None}


def _in_order(same: list[str], order: list[str], fixed: set[str]) -> set[str]:
    """Return the most items that already stand in their new order.

    Those that cannot be created come before any number of others.
    """
    rank = {item_id: at for at, item_id in enumerate(order)}
    # The weightiest increasing run that ends at each item, and the item before.
    weights: list[int] = []
    befores: list[int] = []
    for at, item_id in enumerate(same):
        earlier = [i for i in range(at) if rank[same[i]] < rank[item_id]]
        best = max(earlier, key=weights.__getitem__, default=-1)
        weight = _FIXED_WEIGHT if item_id in fixed else 1
        weights.append(weight + (weights[best] if best >= 0 else 0))
        befores.append(best)
    at = max(range(len(same)), key=weights.__getitem__, default=-1)
    kept = set()
    while at >= 0:
        kept.add(same[at])
        at = befores[at]
    return kept


def _by_id(items: Iterable[Item]) -> dict[str, Item]:
    found: dict[str, Item] = {}
    for item in items:
        item_id = item.get("item_id")
        if not isinstance(item_id, str) or item_id in found:
            raise InvalidRequest(
                "Every item of a history needs an 'item_id' of its own.",
                code="invalid_value",
                param="item_id",
            )
        found[item_id] = item
    return found
