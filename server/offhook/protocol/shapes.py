"""What an object may hold: which fields, and of which kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_WORD = 512
_MOST = 1e9
_FEW = 16
_LABEL = 64


class Kind(NamedTuple):
    """A kind of values.

    Attributes:
        name: What it is called in an error.
        holds: Whether a value is one of them.
    """

    name: str
    holds: Callable[[Any], bool]


# The fields of an object that are kept: of a kind, or again by a shape. Of any field
# null is allowed: what it means, the API says.
Shape = Mapping[str, "Kind | Shape"]


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _WORD


def _is_number(value: Any) -> bool:
    # A bool is an int in Python, but not in JSON.
    return type(value) in (int, float) and abs(value) <= _MOST


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _FEW and all(map(_is_word, value))


def _are_labels(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= _FEW
        and all(len(key) <= _LABEL for key in value)
        and all(map(_is_word, value.values()))
    )


ANY = Kind("anything", lambda _: True)
TEXT = Kind("a string", lambda value: isinstance(value, str))
WORD = Kind(f"a string of up to {_WORD} characters", _is_word)
WORDS = Kind("an array of strings", _are_words)
NUMBER = Kind("a number", _is_number)
FLAG = Kind("a boolean", lambda value: isinstance(value, bool))
LIST = Kind("an array", lambda value: isinstance(value, list))
# OpenAI: up to 16 pairs, the keys of up to 64 characters, the values of up to 512.
LABELS = Kind(f"an object of up to {_FEW} short strings", _are_labels)


def picked(value: Any, shape: Shape) -> dict[str, Any]:
    """Keep of an object what the shape names, if it is of its kind; else nothing."""
    kept: dict[str, Any] = {}
    if not isinstance(value, dict):
        return kept
    for key, part in shape.items():
        inner = value.get(key)
        if key not in value:
            continue
        if inner is None or (isinstance(part, Kind) and part.holds(inner)):
            kept[key] = inner
        elif not isinstance(part, Kind) and isinstance(inner, dict):
            kept[key] = picked(inner, part)
    return kept


def misfit(value: Mapping[str, Any], shape: Shape) -> tuple[str, str] | None:
    """Find the first field of another kind: its path, and what it should be."""
    for key, part in shape.items():
        inner = value.get(key)
        if inner is None:
            continue
        if isinstance(part, Kind):
            if not part.holds(inner):
                return key, part.name
        elif not isinstance(inner, dict):
            return key, "an object"
        elif found := misfit(inner, part):
            return f"{key}.{found[0]}", found[1]
    return None
