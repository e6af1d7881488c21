"""What kind of thing a parameter asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offhook.speech.tools.dates import SECONDS
from offhook.speech.tools.words import parts, words

if TYPE_CHECKING:
    from offhook.speech.tools.schemas import Parameter

_KINDS = {
    "email": "email",
    "url": "url uri link website",
    "date": "date day",
    "time": "time",
    "phone": "phone telephone mobile",
    "place": """city location place address destination origin country town region
        airport area from to where venue station departure arrival street source target
        language""",
    "message": "message body text content note comment reminder task todo reason",
    "subject": "subject topic title",
    "search": "query search term terms keywords keyword q",
    "sum": "expression equation formula calculation",
    "whole": "question prompt request description sentence details issue summary",
    "person": """name recipient customer contact person guest artist author user who
        doctor patient assignee attendee participant""",
    "code": "number id code pin zip postcode account ticket reference tracking",
}
TEXTS = frozenset("message subject search sum whole".split())
"""Kinds that anything said may be."""

_KIND_OF = {word: kind for kind, row in _KINDS.items() for word in row.split()}
_FORMATS = {
    "date": "date",
    "date-time": "datetime",
    "time": "time",
    "email": "email",
    "uri": "url",
    "url": "url",
}
_SHORT = {"ms": "millisecond", "secs": "second", "mins": "minute"}
_DIRECTIONS = {
    "from": frozenset("origin departure source from start".split()),
    "to|into|for|email|mail|message|text|tell": frozenset(
        "to destination arrival target recipient language".split()
    ),
}


def kind_of(parameter: Parameter) -> str:
    """What a parameter asks for, by its type and its name."""
    names = parts(parameter.name)
    if parameter.choices:
        return "choice"
    if parameter.type in ("boolean", "array"):
        return parameter.type
    if parameter.type in ("integer", "number"):
        if unit_of(parameter):
            return "duration"
        is_code = {"id", "code"} & {*names} or names[-1:] == ["number"]
        return "code" if is_code else "number"
    if kind := _FORMATS.get(str(parameter.schema.get("format"))):
        return kind
    if {"duration", "timeout"} & set(names):
        return "duration"
    said = {_KIND_OF[name] for name in names if name in _KIND_OF}
    if "name" in names and "code" in said:
        return "person"
    if "email" in said and said & TEXTS:
        said.discard("email")
    return next((kind for kind in _KINDS if kind in said), "left")


def unit_of(parameter: Parameter) -> str | None:
    """The unit of a duration, if a number is one."""
    if parameter.type == "string":
        return None
    names = parts(parameter.name)
    units = [_SHORT.get(name, name.removesuffix("s")) for name in names]
    if named := [unit for unit in units if unit in SECONDS]:
        return named[0]
    if {"duration", "timeout", "delay"} & set(names):
        said = [word.lower().removesuffix("s") for word in words(parameter.description)]
        return next((unit for unit in said if unit in SECONDS), "second")
    return None


def leading(parameter: Parameter) -> str:
    """The words that lead to a place, where its name says which."""
    names = parts(parameter.name)
    return next((w for w, row in _DIRECTIONS.items() if row & {*names}), "")


def as_number(parameter: Parameter, number: float) -> int | float | None:
    """A number in the type of a parameter, if it has one."""
    if number == int(number):
        return int(number)
    return number if parameter.type == "number" else None
