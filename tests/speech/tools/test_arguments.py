from __future__ import annotations

from typing import Any

import pytest

from offhook.speech.tools.arguments import Missing, build, leaves
from offhook.speech.tools.schemas import read

STRING = {"type": "string"}
ADDRESS = {
    "type": "object",
    "properties": {"street": STRING, "zip": STRING, "country": STRING},
    "required": ["street", "zip"],
}


def parameters(required: list[str], **properties: Any) -> Any:
    return read({"properties": properties, "required": required})


def test_leaves_are_what_can_be_said() -> None:
    tree = parameters([], city=STRING, home=ADDRESS, free={"type": "object"})
    paths = [path for path, _ in leaves(tree)]
    assert paths == [
        ("city",),
        ("home", "street"),
        ("home", "zip"),
        ("home", "country"),
    ]


@pytest.mark.parametrize(
    ("required", "found", "values", "missing"),
    [
        (["city"], {("city",): ["Rome"]}, {"city": "Rome"}, []),
        (["city"], {}, {}, [("city",)]),
        ([], {}, {}, []),
        (["home"], {}, {}, [("home", "street"), ("home", "zip")]),
        ([], {("home", "zip"): ["1"]}, {}, []),
        (
            [],
            {("home", "zip"): ["1"], ("home", "street"): ["A"]},
            {"home": {"street": "A", "zip": "1"}},
            [],
        ),
        (["maybe", "unit"], {}, {"maybe": None, "unit": "c"}, []),
    ],
)
def test_arguments_and_what_they_lack(
    required: list[str],
    found: dict[tuple[str, ...], list[Any]],
    values: dict[str, Any],
    missing: list[tuple[str, ...]],
) -> None:
    tree = parameters(
        required,
        city=STRING,
        home=ADDRESS,
        maybe={"type": ["string", "null"]},
        unit={"enum": ["f", "c"], "default": "c"},
    )
    built, lacking = build(tree, found)
    assert built == values
    assert [one.path for one in lacking] == missing


def test_what_is_missing_may_be_filled_in() -> None:
    tree = parameters(["city", "home"], city=STRING, home=ADDRESS)
    home = {"street": "", "zip": "1"}
    values = build(tree, {("home", "zip"): ["1"]}, force=True)
    assert values == ({"city": "", "home": home}, [])


@pytest.mark.parametrize(
    ("name", "schema", "question"),
    [
        ("city", STRING, "Which city?"),
        ("orderNumber", STRING, "Which order number?"),
        (
            "q",
            {**STRING, "description": "The item to find"},
            "What should the item to find be?",
        ),
        ("message", STRING, "What should the message be?"),
        ("size", {"enum": ["s", "extra_large"]}, "Which size: s or extra large?"),
        ("size", {"enum": list("abcdefgh")}, "Which size?"),
        ("gift_wrap", {"type": "boolean"}, "Gift wrap, yes or no?"),
        ("at", {**STRING, "format": "date-time"}, "Which date and time?"),
        (
            "level",
            {"type": "integer", "minimum": 0, "exclusiveMaximum": 11},
            "Which level, from 0 to 10?",
        ),
        ("level", {"type": "integer", "minimum": 0}, "Which level?"),
    ],
)
def test_questions(name: str, schema: dict[str, Any], question: str) -> None:
    [parameter] = parameters([name], **{name: schema})
    assert Missing((name,), parameter).question == question
