from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no stubs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.speech.tools.schemas import Parameter, least, nearest, read

STRING = {"type": "string"}
NULL = {"type": "null"}


def one(schema: Any, **definitions: Any) -> Parameter:
    """The only parameter of a schema."""
    [parameter] = read(
        {"properties": {"it": schema}, "required": ["it"], "$defs": definitions}
    )
    return parameter


@pytest.mark.parametrize(
    ("schema", "type_", "nullable", "choices"),
    [
        (STRING, "string", False, ()),
        ({}, "string", False, ()),
        (True, "string", False, ()),
        ({"type": ["null", "integer"]}, "integer", True, ()),
        ({"anyOf": [NULL, STRING]}, "string", True, ()),
        ({"oneOf": [STRING, {"type": "integer"}]}, "string", False, ()),
        ({"enum": ["a", "b", None]}, "string", True, ("a", "b")),
        ({"anyOf": [{"const": 1}, {"const": 2}]}, "string", False, (1, 2)),
        ({"anyOf": [{"enum": ["a"]}, NULL]}, "string", True, ("a",)),
        ({"$ref": "#/$defs/A"}, "number", False, ()),
        ({"allOf": [{"$ref": "#/$defs/A"}]}, "number", False, ()),
        ({"anyOf": [{"$ref": "#/$defs/A"}, NULL]}, "number", True, ()),
        ({"$ref": "#/$defs/B"}, "number", False, ()),
        ({"$ref": "#/$defs/Missing"}, "string", False, ()),
        ({"items": STRING}, "array", False, ()),
        ({"properties": {}}, "object", False, ()),
        (NULL, "null", True, ()),
    ],
)
def test_schemas_of_all_kinds(
    schema: Any, type_: str, nullable: bool, choices: tuple[Any, ...]
) -> None:
    number = {"type": "number"}
    parameter = one(schema, A=number, B={"$ref": "#/$defs/A"})
    assert (parameter.type, parameter.nullable) == (type_, nullable)
    assert parameter.choices == choices


def test_what_stands_beside_a_reference_counts() -> None:
    schema = {"description": "How far", "$ref": "#/$defs/A"}
    parameter = one(schema, A={"type": "integer", "minimum": 2})
    assert parameter.description == "How far"
    assert parameter.limits == (2, float("inf"))


def test_all_of_several_is_one_object() -> None:
    a = {"properties": {"a": STRING}, "required": ["a"]}
    b = {"type": "object", "properties": {"b": STRING}, "required": ["b"]}
    inner = one({"allOf": [a, b]}).inner
    assert {(p.name, p.required) for p in inner} == {("a", True), ("b", True)}


def test_recursion_ends() -> None:
    node = {
        "type": "object",
        "properties": {
            "next": {"anyOf": [{"$ref": "#/$defs/N"}, NULL]},
            "children": {"type": "array", "items": {"$ref": "#/$defs/N"}},
        },
        "required": ["next", "children"],
    }
    assert least(one({"$ref": "#/$defs/N"}, N=node)) == {"next": None, "children": []}
    assert one({"$ref": "#/$defs/X"}, X={"$ref": "#/$defs/X"}).type == "null"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (STRING, ""),
        ({**STRING, "default": "x"}, "x"),
        ({**STRING, "default": 5}, ""),
        ({**STRING, "examples": ["y", "z"]}, "y"),
        ({**STRING, "minLength": 7}, "-------"),
        ({**STRING, "pattern": "^[A-Z]{2}$"}, "AA"),
        ({**STRING, "format": "date"}, "2000-01-01"),
        ({"enum": ["b", "a"]}, "b"),
        ({"enum": ["b", "a"], "default": "a"}, "a"),
        ({"const": 3}, 3),
        ({"type": "integer"}, 0),
        ({"type": "integer", "minimum": 2, "multipleOf": 3}, 3),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "exclusiveMinimum": 0}, 1),
        ({"type": "number", "minimum": 0.5}, 0.5),
        ({"type": "boolean"}, False),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
        ({"type": ["string", "null"]}, None),
    ],
)
def test_least_surprising(schema: dict[str, Any], value: Any) -> None:
    assert least(one(schema)) == value
    jsonschema.validate(value, schema)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"enum": [1, 2]}, 2, 3),
        ({**STRING, "maxLength": 3}, "abc", "abcd"),
        ({**STRING, "pattern": r"^\d+$"}, "12", "a"),
        ({"type": "integer", "minimum": 1, "maximum": 5}, 5, 6),
        ({"type": "number", "multipleOf": 5}, 10, 12),
        ({"type": "array", "minItems": 1}, [1], []),
    ],
)
def test_fits(schema: dict[str, Any], good: Any, bad: Any) -> None:
    assert one(schema).fits(good)
    assert not one(schema).fits(bad)


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|a)*b", "a*a*a*a*a*b", "(", 5])
def test_patterns_that_take_long_or_are_none_match_nothing(pattern: Any) -> None:
    assert one({**STRING, "pattern": pattern}).fits("a" * 5000) == (pattern == 5)


def test_nearest() -> None:
    level = one({"type": "integer", "minimum": 0, "maximum": 95, "multipleOf": 10})
    assert [nearest(level, n) for n in (-5, 41, 200)] == [0, 50, 90]


LEAF = st.one_of(
    st.just(STRING),
    st.just({"type": "boolean"}),
    st.just({"type": ["integer", "null"]}),
    st.builds(lambda n: {"type": "integer", "minimum": n}, st.integers(-9, 9)),
    st.builds(lambda n: {"type": "number", "maximum": n}, st.integers(-9, 9)),
    st.builds(lambda n: {**STRING, "minLength": n}, st.integers(0, 9)),
    st.builds(
        lambda v: {"enum": v},
        st.lists(st.integers() | st.text(), min_size=1, max_size=4),
    ),
)


def _object(inner: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": inner,
        "required": list(inner)[::2],
        "additionalProperties": False,
    }


SCHEMAS = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.builds(_object, st.dictionaries(st.text(max_size=8), inner, max_size=4)),
        st.builds(lambda i: {"type": "array", "items": i, "minItems": 1}, inner),
        st.builds(lambda i: {"anyOf": [i, NULL]}, inner),
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(SCHEMAS)
def test_the_least_value_is_valid(schema: dict[str, Any]) -> None:
    jsonschema.validate(least(one(schema)), schema)
