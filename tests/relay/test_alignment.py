from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from offhook.protocol.entries import Entry
from offhook.relay.alignment import aligned

if TYPE_CHECKING:
    from offhook.protocol.entries import Who


def turn(who: Who, begins: int, ends: int, **data: str) -> Entry:
    return Entry("turn", who, begins, ends, "Words.", data)


def test_turns_take_the_times_at_which_they_are_heard() -> None:
    asked = turn("caller", 1300, 2400, item_id="item_1")
    said = turn("model", 3200, 5000, response_id="resp_1", item_id="item_2")
    cut = Entry("interruption", "caller", 5000, 5000, "", {"response_id": "resp_1"})
    timeline = [
        replace(asked, begins_ms=600, ends_ms=1900).as_json(),
        replace(said, begins_ms=2500, ends_ms=4600).as_json(),
        replace(cut, begins_ms=1, ends_ms=1).as_json(),
    ]
    moved = aligned([asked, said, cut], timeline, 500.4)
    assert moved == [
        replace(asked, begins_ms=1100, ends_ms=2400),
        replace(said, begins_ms=3000, ends_ms=5100),
        cut,
    ]


def test_what_the_timeline_does_not_know_stays_and_all_is_in_order() -> None:
    first = turn("caller", 100, 200, item_id="a")
    second = turn("model", 300, 400, response_id="b")
    nameless = Entry("turn", "caller", 250, 260, "Words.")
    other = replace(nameless, begins_ms=9, ends_ms=9)
    late = replace(first, begins_ms=900, ends_ms=950)
    timeline = [late.as_json(), other.as_json(), {"kind": "turn"}, None, "x"]
    assert aligned([first, nameless, second], timeline, 0) == [nameless, second, late]
    assert aligned([first, second], [], 0) == [first, second]


def test_nothing_begins_before_the_call() -> None:
    entry = turn("caller", 100, 200, item_id="a")
    [moved] = aligned([entry], [entry.as_json()], -150)
    assert (moved.begins_ms, moved.ends_ms) == (0, 50)
