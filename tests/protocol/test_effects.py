from __future__ import annotations

import pytest

from offhook.protocol.effects import Abandon, Listen, Outbox, Send


def counting(prefix: str) -> str:
    return f"{prefix}_1"


def test_effects_come_out_in_the_order_in_which_they_went_in() -> None:
    outbox = Outbox(counting)
    outbox.emit({"type": "a"})
    outbox.request(Listen(b"\0\0"))
    outbox.emit({"type": "b"})
    outbox.request(Abandon("resp_1"))
    assert outbox.drain() == [
        Send({"type": "a", "event_id": "event_1"}),
        Listen(b"\0\0"),
        Send({"type": "b", "event_id": "event_1"}),
        Abandon("resp_1"),
    ]


def test_what_was_drained_does_not_come_again() -> None:
    outbox = Outbox()
    outbox.emit({"type": "a"})
    first = outbox.drain()
    assert outbox.drain() == []
    outbox.emit({"type": "b"})
    assert [e.event["type"] for e in first if isinstance(e, Send)] == ["a"]


def test_an_event_begins_with_its_type_and_its_id() -> None:
    outbox = Outbox(counting)
    outbox.emit({"item": {}, "type": "a"})
    [effect] = outbox.drain()
    assert isinstance(effect, Send)
    assert list(effect.event) == ["type", "event_id", "item"]


def test_ids_are_made_as_told_and_unlike_by_default() -> None:
    assert Outbox(counting).make_id("item") == "item_1"
    outbox = Outbox()
    assert outbox.make_id("item") != outbox.make_id("item")


def test_effects_are_values() -> None:
    with pytest.raises(AttributeError):
        Abandon("resp_1").response_id = "resp_2"  # type: ignore[misc]  # frozen
