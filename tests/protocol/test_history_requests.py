from __future__ import annotations

from typing import Any

import pytest

from offhook.protocol.history_requests import HistoryRequests
from tests.protocol.test_history_edits import B2, NEW, A, B, C, D, brief, message

Event = dict[str, Any]
Item = dict[str, Any]

FIRST = ["delete c", "delete b", "create b after a", "create n after b"]


def rewriting() -> tuple[HistoryRequests, list[Event]]:
    """Ask for another history, and leave it unanswered."""
    requests = HistoryRequests()
    events, warnings = requests.rewrite([A, B, C, D], [A, B2, NEW, D])
    assert (brief(events), warnings) == (FIRST, [])
    return requests, events


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        # The same again: it is on its way.
        ([A, B2, NEW, D], []),
        ([A, B2, D], ["delete n"]),
        # What goes is no place to stand behind.
        ([A, C, D], ["delete b", "delete n", "create c after a"]),
        ([A, B2, NEW, message("z"), D], ["create z after n"]),
    ],
)
def test_what_is_on_its_way_counts(new: list[Item], expected: list[str]) -> None:
    requests, _ = rewriting()
    events, _ = requests.rewrite([A, B, C, D], new)
    assert brief(events) == expected


def test_what_was_answered_is_history() -> None:
    requests, _ = rewriting()
    for item_id in "cb":
        event = {"type": "conversation.item.deleted", "item_id": item_id}
        requests.take(event)
    for item_id in "bn":
        requests.take({"type": "conversation.item.added", "item": {"id": item_id}})
    events, _ = requests.rewrite([A, B, D], [A, B, D])
    assert events == []
    events, _ = requests.rewrite([A, C], [A])
    assert brief(events) == ["delete c"]


def test_what_was_refused_did_not_happen() -> None:
    requests, events = rewriting()
    for event in events:
        error = {"event_id": event["event_id"], "message": "No."}
        requests.take({"type": "error", "error": error})
    again, _ = requests.rewrite([A, B, C, D], [A, B2, NEW, D])
    assert brief(again) == FIRST


def test_a_connection_takes_its_requests_along() -> None:
    requests, events = rewriting()
    requests.reset()
    again, _ = requests.rewrite([A, B, C, D], [A, B2, NEW, D])
    assert brief(again) == FIRST
    assert not {e["event_id"] for e in events} & {e["event_id"] for e in again}


@pytest.mark.parametrize("to", [[NEW, A], [A, NEW]])
def test_places_of_what_is_on_its_way(to: list[Item]) -> None:
    requests = HistoryRequests()
    requests.rewrite([A], to)
    assert requests.rewrite([A], to) == ([], [])


def test_other_events_are_none_of_its_business() -> None:
    requests, _ = rewriting()
    for event in ({"type": "error"}, {"type": "x"}, {"type": "error", "error": "no"}):
        requests.take(event)
    assert requests.rewrite([A, B, C, D], [A, B2, NEW, D])[0] == []
