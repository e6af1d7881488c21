from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from offhook.speech.tools.reading import Reading, answer
from offhook.speech.tools.schemas import read

NOW = datetime(2026, 11, 22, 22, 8)
STRING = {"type": "string"}
INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
BOOLEAN = {"type": "boolean"}


def reading(text: str, **properties: Any) -> dict[str, list[Any]]:
    """The values that a text gives for required parameters, by their names."""
    tree = read({"properties": properties, "required": list(properties)})
    found = Reading(text, tree, NOW).values
    return {".".join(path): values for path, values in found.items()}


@pytest.mark.parametrize(
    ("text", "name", "schema", "value"),
    [
        ("sixty percent", "share", {**NUMBER, "maximum": 1}, 0.6),
        ("minus five degrees", "degrees", INTEGER, -5),
        ("1,250 euros", "amount", NUMBER, 1250),
        ("two and a half", "n", INTEGER, 2),
        ("seven", "level", {**INTEGER, "maximum": 5}, None),
        ("two hours", "minutes", INTEGER, 120),
        ("ninety seconds", "duration", STRING, "90 seconds"),
        ("open the blinds", "open", BOOLEAN, True),
        ("close the blinds", "open", BOOLEAN, False),
        ("please unmute me", "muted", BOOLEAN, False),
        ("turn it off", "enabled", BOOLEAN, False),
        ("without gift wrap", "gift_wrap", BOOLEAN, False),
        ("and a gift wrap", "gift_wrap", BOOLEAN, True),
        ("nothing of it", "gift_wrap", BOOLEAN, None),
        ("call 555 123-4567", "phone", STRING, "5551234567"),
        ("go to example.com/faq now", "url", STRING, "https://example.com/faq"),
        ("mail ada_l@example.org", "email", STRING, "ada_l@example.org"),
        ("tomorrow at noon", "at", {"format": "date-time"}, "2026-11-23T12:00:00"),
        ("at nine", "time", {**STRING, "format": "time"}, "09:00:00"),
        ("with Ada and Bob", "guests", {"items": STRING}, ["Ada", "Bob"]),
        ("2 and 3", "numbers", {"items": INTEGER}, [2, 3]),
        ("code A B 12", "code", {**STRING, "pattern": "^[A-Z]+[0-9]+$"}, "AB12"),
        ("code 12", "code", {**STRING, "pattern": "^[A-Z]+$"}, None),
        ("a big red one", "size", {"enum": ["small", "big"]}, "big"),
        ("the bigger one", "size", {"enum": ["small", "big"]}, None),
        ("in celsius", "unit", {"enum": ["celsius", "kelvin"]}, "celsius"),
    ],
)
def test_values(text: str, name: str, schema: dict[str, Any], value: Any) -> None:
    expected = {} if value is None else {name: [value]}
    assert reading(text, **{name: schema}) == expected


def test_nothing_is_taken_twice() -> None:
    rooms = {"enum": ["two", "three"]}
    assert reading("from Rome to Rome", origin=STRING, destination=STRING) == {
        "origin": ["Rome"],
        "destination": ["Rome"],
    }
    assert reading("two", rooms=rooms, guests=INTEGER) == {"guests": [2]}
    time = reading("at 7 for 4", time=STRING, guests=INTEGER)
    assert time == {"time": ["07:00"], "guests": [4]}
    both = reading("2 minutes and 30 seconds", minutes=INTEGER, seconds=INTEGER)
    assert both == {"minutes": [2], "seconds": [30]}


def test_objects_and_arrays_of_objects() -> None:
    item = {
        "type": "object",
        "properties": {"size": {"enum": ["small", "large"]}, "quantity": INTEGER},
        "required": ["size", "quantity"],
    }
    assert reading("two large ones", items={"type": "array", "items": item}) == {
        "items": [[{"size": "large", "quantity": 2}]]
    }
    assert reading("two large ones", item=item) == {
        "item.size": ["large"],
        "item.quantity": [2],
    }


def test_several_values_are_as_many_calls() -> None:
    assert reading("in Rome, Oslo and Bern", city=STRING) == {
        "city": ["Rome", "Oslo", "Bern"]
    }


@pytest.mark.parametrize(
    ("text", "name", "schema", "value"),
    [
        ("It's Paris.", "city", STRING, "Paris"),
        ("in new york please", "city", STRING, "New York"),
        ("well I would not want to tell you that now", "city", STRING, None),
        ("four", "size", INTEGER, 4),
        ("about four and a half", "size", NUMBER, 4),
        ("no idea", "size", INTEGER, None),
        ("Yes, please.", "gift", BOOLEAN, True),
        ("nope", "gift", BOOLEAN, False),
        ("maybe", "gift", BOOLEAN, None),
        ("eggs, milk and ham", "items", {"items": STRING}, ["eggs", "milk", "ham"]),
        ("seven thirty", "time", STRING, "07:30"),
        ("four five one", "order_id", STRING, "451"),
        ("I am late.", "message", STRING, "I am late"),
        ("Tell him that I am late.", "message", STRING, "I am late"),
        ("The blue one", "colour", STRING, "blue one"),
        ("", "colour", STRING, None),
    ],
)
def test_answers(text: str, name: str, schema: dict[str, Any], value: Any) -> None:
    [parameter] = read({"properties": {name: schema}, "required": [name]})
    assert answer(parameter, text) == value
