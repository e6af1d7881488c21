"""The parameters of a tool, read from its JSON schema."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST = 1000
"""Schemas that are read of a tool; references can make them very many."""

_EXAMPLES = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "nobody@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "duration": "PT0S",
}
# What can take long to match: a group that repeats, and many things that repeat.
_COSTLY = re.compile(r"\)[*+{]|(?:[*+{].*){4}", re.DOTALL)


@dataclass(frozen=True)
class Parameter:
    """A value that a tool takes.

    Attributes:
        type: As in JSON schema, without "null".
        schema: What it has to fit, without references and alternatives.
        required: Whether it may not be left out.
        nullable: Whether it may be null.
        choices: The values of an enumeration, if it is one.
        inner: The parameters of an object.
        item: What an array consists of.
    """

    name: str
    type: str
    schema: dict[str, Any] = field(default_factory=dict)
    required: bool = False
    nullable: bool = False
    choices: tuple[Any, ...] = ()
    inner: tuple[Parameter, ...] = ()
    item: Parameter | None = None

    @property
    def description(self) -> str:
        """What the schema says about it."""
        said = self.schema.get("description")
        return said if isinstance(said, str) else ""

    @property
    def needed(self) -> bool:
        """Whether there is no call without a value of it."""
        return self.required and not self.nullable and "default" not in self.schema

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest number that fit."""
        step = 1 if self.type == "integer" else 1e-6
        low, high = self.number("minimum"), self.number("maximum")
        above, below = self.number("exclusiveMinimum"), self.number("exclusiveMaximum")
        lows = [-math.inf if low is None else low]
        highs = [math.inf if high is None else high]
        lows += [] if above is None else [above + step]
        highs += [] if below is None else [below - step]
        return max(lows), min(highs)

    def fits(self, value: Any) -> bool:
        """Whether a value of the right type is one of those that the schema allows."""
        if self.choices:
            return value in self.choices
        if isinstance(value, str):
            return self._length_fits(len(value), "Length") and self._matches(value)
        if isinstance(value, list):
            return self._length_fits(len(value), "Items")
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = self.limits
            multiple = self.number("multipleOf")
            return low <= value <= high and not (multiple and value % multiple)
        return True

    def number(self, keyword: str) -> float | None:
        """What a keyword of the schema is set to, if to a number."""
        value = self.schema.get(keyword)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return value if is_number else None

    def _length_fits(self, length: int, what: str) -> bool:
        least, most = self.number(f"min{what}"), self.number(f"max{what}")
        return (least or 0) <= length <= (math.inf if most is None else most)

    def _matches(self, value: str) -> bool:
        pattern = self.schema.get("pattern")
        if not isinstance(pattern, str):
            return True
        try:
            return not _COSTLY.search(pattern) and bool(re.search(pattern, value))
        except re.error:
            return False


def read(schema: dict[str, Any]) -> tuple[Parameter, ...]:
    """The parameters that a schema of an object has."""
    return _Reader(schema).parameter("", {"type": "object"} | schema).inner


def least(parameter: Parameter) -> Any:
    """The least surprising value that fits, for want of one that anybody named."""
    schema = parameter.schema
    examples = schema.get("examples")
    named = [schema["default"]] if "default" in schema else []
    named += examples[:1] if isinstance(examples, list) else []
    for value in named:
        if value is None and parameter.nullable:
            return None
        if is_type(value, parameter.type) and parameter.fits(value):
            return value
    if parameter.nullable:
        return None
    return parameter.choices[0] if parameter.choices else _blank(parameter)


def is_type(value: Any, type_: str) -> bool:
    """Whether a value has a type of JSON schema."""
    if isinstance(value, bool):
        return type_ == "boolean"
    return {
        "string": isinstance(value, str),
        "integer": isinstance(value, int),
        "number": isinstance(value, int | float),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }.get(type_, False)


def nearest(parameter: Parameter, number: float) -> int | float:
    """The number closest to another that a parameter takes."""
    low, high = parameter.limits
    number = min(max(number, low), high)
    multiple = parameter.number("multipleOf")
    if multiple and number % multiple:
        above = math.ceil(number / multiple) * multiple
        number = above if above <= high else above - multiple
    if parameter.type == "integer" or number == int(number):
        return math.ceil(number)
    return number


def _blank(parameter: Parameter) -> Any:
    match parameter.type:
        case "object":
            return {p.name: least(p) for p in parameter.inner if p.required}
        case "array":
            count = int(parameter.number("minItems") or 0)
            return [least(parameter.item) if parameter.item else ""] * count
        case "boolean":
            return False
        case "integer" | "number":
            return nearest(parameter, 0)
        case "null":
            return None
    text = _EXAMPLES.get(str(parameter.schema.get("format")), "")
    texts = (text, "-", "a", "A", "0", "AA", "00", "AAA", "000", "0000", "00000")
    short = int(parameter.number("minLength") or 0)
    return next((t for t in texts if parameter.fits(t)), text.ljust(short, "-"))


class _Reader:
    """Reads the schemas of one tool."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._left = _MOST

    def parameter(
        self,
        name: str,
        schema: Any,
        *,
        required: bool = True,
        above: tuple[str, ...] = (),
    ) -> Parameter:
        """Read one; `above` are the references that it stands in."""
        options = self._options(schema, above)
        chosen, above = next(
            (option for option in options if option[0].get("type") != "null"),
            ({"type": "null"}, above),
        )
        values = [_values(option) for option, _ in options]
        choices = [v for some in values for v in some] if all(values) else []
        types = [t for option, _ in options for t in _types(option)]
        item, type_ = chosen.get("items"), _types(chosen)[0]
        return Parameter(
            name,
            type_,
            chosen,
            required,
            nullable=None in choices if choices else "null" in types,
            choices=tuple(choice for choice in choices if choice is not None),
            inner=tuple(self._inner(chosen, above)) if type_ == "object" else (),
            item=self.parameter("", item, above=above)
            if type_ == "array" and self._spent(item)
            else None,
        )

    def _inner(
        self, schema: dict[str, Any], above: tuple[str, ...]
    ) -> Iterator[Parameter]:
        properties, required = schema.get("properties"), schema.get("required")
        needed = required if isinstance(required, list) else ()
        for name, inner in properties.items() if isinstance(properties, dict) else ():
            if self._spent(inner):
                yield self.parameter(name, inner, required=name in needed, above=above)

    def _spent(self, schema: Any) -> bool:
        """Whether a schema is there, and may still be read."""
        self._left -= 1
        return (isinstance(schema, dict) or schema is True) and self._left > 0

    def _options(self, schema: Any, above: tuple[str, ...]) -> list[_Option]:
        """What a schema allows, as one schema each, without references."""
        if not isinstance(schema, dict):
            return [({}, above)]
        options: list[_Option] = [({}, above)]
        if isinstance(reference := schema.get("$ref"), str):
            if reference in above or not self._spent(schema):
                return []
            options = self._options(self._target(reference), (*above, reference))
        several = _dicts(schema.get("anyOf")) or _dicts(schema.get("oneOf"))
        if several:
            options = [o for each in several for o in self._options(each, above)]
        rest = {k: v for k, v in schema.items() if k not in _COMPOUND}
        for part in _dicts(schema.get("allOf")):
            merged, above = next(iter(self._options(part, above)), ({}, above))
            rest = _merged(merged, rest)
        return [(_merged(rest, option), over or above) for option, over in options]

    def _target(self, reference: str) -> Any:
        found: Any = self._root
        for key in filter(None, reference.removeprefix("#").split("/")):
            key = key.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) else None
        return found


_Option = tuple[dict[str, Any], tuple[str, ...]]
_COMPOUND = frozenset({"$ref", "allOf", "anyOf", "oneOf", "$defs", "definitions"})


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two schemas that hold both; where they contradict each other, the second."""
    merged = one | other
    if isinstance(first := one.get("properties"), dict):
        second = other.get("properties")
        merged["properties"] = first | (second if isinstance(second, dict) else {})
    if isinstance(needed := one.get("required"), list):
        more = other.get("required")
        merged["required"] = needed + (more if isinstance(more, list) else [])
    return merged


def _values(schema: dict[str, Any]) -> list[Any]:
    """The values of an enumeration; none of what is not one."""
    if schema.get("type") == "null":
        return [None]
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else []


def _types(schema: dict[str, Any]) -> list[str]:
    """The types that a schema allows, "null" last."""
    named = schema.get("type")
    names = named if isinstance(named, list) else [named]
    known = sorted((n for n in names if isinstance(n, str)), key="null".__eq__)
    if known:
        return known
    if "properties" in schema:
        return ["object"]
    return ["array"] if "items" in schema else ["string"]
