from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import InvalidRequest
from offhook.transports import given

if TYPE_CHECKING:
    from collections.abc import Callable

CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


def test_any_mapping_and_half_a_surrogate_pair_are_json() -> None:
    value = {"a": MappingProxyType({"b": (1, "\ud800")})}
    assert json.loads(given.json_of(value)) == {"a": {"b": [1, "\ud800"]}}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (object(), "object is not JSON"),
        ({"a": b"x"}, "bytes is not JSON"),
        ([float("nan")], "Out of range float"),
        (CIRCLE, "Circular"),
        ({(1, 2): 3}, "keys must be"),
    ],
)
def test_what_is_no_json_is_refused_with_the_reason(value: Any, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        given.json_of(value)


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (given.message, ["Hi", [], [{"type": "input_text", "text": "Hi"}]]),
        (given.history, [[], ({"item_id": "a", "type": "message", "content": []},)]),
        (lambda value: given.mapping(value, "It"), [{}, MappingProxyType({})]),
        (lambda value: given.text(value, "It"), ["", "x"]),
        (given.audio, [b"", b"x"]),
        (given.key, [None, "sk-any", "", str]),
        (given.url, [None, "ws://x.test"]),
    ],
)
def test_what_is_as_it_should_be_passes(
    check: Callable[[Any], Any], values: list[Any]
) -> None:
    assert [check(value) for value in values] == values


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (given.message, [None, 5, b"Hi", {"text": "Hi"}, ["Hi"]]),
        (given.history, [None, "x", {"item_id": "a"}, [5], [{"item_id": "a"}]]),
        (given.history, [[{"type": "message", "content": each}] for each in (5, "x")]),
        (lambda value: given.mapping(value, "It"), [None, "x", [], 5]),
        (lambda value: given.text(value, "It"), [None, b"x", {}]),
        (given.audio, ["x", 5, None, [1, 2]]),
        (given.key, [5, b"sk-any", {}]),
        (given.url, ["", 5, b"ws://x.test"]),
        (lambda value: given.limit(value, "It"), ["a", 0, -1, True, float("nan")]),
    ],
)
def test_another_kind_is_refused(
    check: Callable[[Any], Any], values: list[Any]
) -> None:
    for value in values:
        with pytest.raises(InvalidRequest, match=r"has to be|needs a 'type'|is empty"):
            check(value)


def test_a_limit_is_a_number_or_none() -> None:
    for value in (None, 1, 0.5):
        given.limit(value, "It")
