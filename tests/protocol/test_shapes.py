from __future__ import annotations

import pytest

from offhook.protocol.shapes import (
    ANY,
    FLAG,
    LABELS,
    LIST,
    NUMBER,
    TEXT,
    WORD,
    WORDS,
    Kind,
    Shape,
    misfit,
    picked,
)

SHAPE: Shape = {"a": TEXT, "b": {"c": NUMBER, "d": ANY}}


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (TEXT, ["", "x" * 10_000], [1, [], {}]),
        (WORD, ["", "x" * 512], ["x" * 513, 1]),
        (WORDS, [[], ["a"] * 16], [["a"] * 17, [1], "a"]),
        (NUMBER, [0, -1.5, 10**9], [True, 10**10, "1"]),
        (FLAG, [True, False], [0, "true"]),
        (LIST, [[], [{}]], [{}, "[]"]),
        (LABELS, [{}, {"a": "b"}], [{"a": 1}, {"a" * 65: ""}, {"a": "b" * 513}, []]),
    ],
    ids=lambda value: value.name if isinstance(value, Kind) else "",
)
def test_a_kind_holds_its_own(
    kind: Kind, good: list[object], bad: list[object]
) -> None:
    assert all(kind.holds(value) for value in good)
    assert not any(kind.holds(value) for value in bad)


def test_what_is_named_and_of_its_kind_is_kept() -> None:
    value = {"a": "x", "b": {"c": 1, "d": {"e": 2}, "f": 3}, "g": 4}
    assert picked(value, SHAPE) == {"a": "x", "b": {"c": 1, "d": {"e": 2}}}
    assert picked({"a": None, "b": None}, SHAPE) == {"a": None, "b": None}
    assert picked({"a": 1, "b": {"c": "1"}}, SHAPE) == {"b": {}}
    assert picked({"b": "x"}, SHAPE) == {}
    assert picked(["a"], SHAPE) == {}


def test_a_misfit_is_found_where_it_is() -> None:
    assert misfit({"a": "x", "b": {"c": 1}, "g": 4}, SHAPE) is None
    assert misfit({"a": None, "b": None}, SHAPE) is None
    assert misfit({"a": 1}, SHAPE) == ("a", "a string")
    assert misfit({"b": {"c": "1"}}, SHAPE) == ("b.c", "a number")
    assert misfit({"b": 1}, SHAPE) == ("b", "an object")
