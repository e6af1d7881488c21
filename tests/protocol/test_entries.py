from __future__ import annotations

import json
import math
from typing import Any

import pytest

from offhook.errors import InvalidRequest
from offhook.protocol.entries import Entry, entry, milliseconds


def test_an_entry_goes_through_json() -> None:
    told = Entry("tool", "model", 10, 20, "look", {"arguments": "{}"})
    assert Entry.from_json(json.loads(json.dumps(told.as_json()))) == told


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {},
        {"kind": "turn"},
        Entry("turn", "caller", 2, 1).as_json(),
        {**Entry("turn", "caller", 1, 2).as_json(), "kind": "song"},
        {**Entry("turn", "caller", 1, 2).as_json(), "who": "nobody"},
    ],
)
def test_what_is_no_entry_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match="no entry"):
        Entry.from_json(wrong)


def test_an_entry_does_not_end_before_it_begins() -> None:
    told = entry("mark", "server", -3.2, -7)
    assert (told.begins_ms, told.ends_ms) == (0, 0)


@pytest.mark.parametrize(
    ("given", "taken"),
    [(1, 1.0), (2.5, 2.5), (-1, 0.0), (1e300, 1e9), (math.inf, 1e9)],
)
def test_times_are_bounded(given: float, taken: float) -> None:
    assert milliseconds(given) == taken


@pytest.mark.parametrize("given", [None, "1", True, math.nan, []])
def test_what_is_no_time_is_none(given: Any) -> None:
    assert milliseconds(given) is None
