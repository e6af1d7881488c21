from __future__ import annotations

from typing import Any

import pytest

from offhook.agent.conversation import Conversation


def item(item_id: str, **fields: Any) -> dict[str, Any]:
    return {"item_id": item_id, **fields}


def ids(conversation: Conversation) -> str:
    return "".join(item["item_id"] for item in conversation.items)


@pytest.mark.parametrize(
    ("fields", "order"),
    [
        ({}, "abx"),
        ({"previous_item_id": None}, "xab"),
        ({"previous_item_id": "a"}, "axb"),
        ({"previous_item_id": "unknown"}, "abx"),
    ],
)
def test_a_new_item_stands_where_the_server_says(
    fields: dict[str, Any], order: str
) -> None:
    conversation = Conversation()
    assert conversation.update(item("a"))
    assert conversation.update(item("b"))
    assert conversation.update(item("x", **fields))
    assert ids(conversation) == order


def test_an_item_that_changes_stays_where_it_is() -> None:
    conversation = Conversation()
    for each in "abc":
        conversation.update(item(each))
    before = conversation.items[0]
    assert not conversation.update(item("a", text="new", previous_item_id="c"))
    assert ids(conversation) == "abc"
    assert conversation.items[0]["text"] == "new"
    assert "text" not in before
    conversation.delete("b")
    conversation.delete("unknown")
    assert ids(conversation) == "ac"
