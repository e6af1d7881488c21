"""Which calls to list, as SQL; pages go on where the one before them ended."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, and_, false, select, tuple_

from offhook.archive.tables import calls, words
from offhook.archive.words import split
from offhook.errors import InvalidRequest

if TYPE_CHECKING:
    from offhook.archive.records import CallQuery

_MOST = 1000
_SHORTEST = 3  # what may be the beginning of a word: one letter begins too many
_HIGHEST = "\U0010ffff"


def listed(query: CallQuery) -> Select[Any]:
    """Make the query for one page, and one call more: is there a next page?

    Raises:
        InvalidRequest: The cursor is not one of ours, or the limit is wrong.
    """
    if not 1 <= query.limit <= _MOST:
        raise InvalidRequest(
            f"limit must be from 1 to {_MOST}.", code="invalid_value", param="limit"
        )
    first = calls.c.seconds if query.sort == "longest" else calls.c.began
    place = tuple_(first, calls.c.number)
    rising = query.sort == "oldest"
    found = select(calls).where(*_conditions(query))
    if query.cursor is not None:
        last = tuple_(*_last(query))
        found = found.where(place > last if rising else place < last)
    order = [each if rising else each.desc() for each in (first, calls.c.number)]
    return found.order_by(*order).limit(query.limit + 1)


def cursor(query: CallQuery, row: Any) -> str:
    """Say where a page ended, for the one after it."""
    value = row.seconds if query.sort == "longest" else row.began
    place = json.dumps([query.sort, value, row.number])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _last(query: CallQuery) -> tuple[float, int]:
    try:
        padded = str(query.cursor) + "=" * (-len(str(query.cursor)) % 4)
        sort, value, number = json.loads(base64.urlsafe_b64decode(padded))
        if sort != query.sort or type(number) is not int or abs(number) >= 2**63:
            raise ValueError
        return float(value), number
    except (ValueError, TypeError, binascii.Error):
        raise InvalidRequest(
            "cursor must be what the page before this one gave, for the same sort.",
            code="invalid_value",
            param="cursor",
        ) from None


def _conditions(query: CallQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.text and query.text.strip():
        conditions += _said(query.text)
    if query.agent is not None:
        conditions.append(calls.c.agent == query.agent)
    if query.path is not None:
        conditions.append(calls.c.path == query.path)
    if query.since is not None:
        conditions.append(calls.c.began >= query.since)
    if query.until is not None:
        conditions.append(calls.c.began < query.until)
    if query.recorded is not None:
        given = calls.c.recording.is_not(None)
        conditions.append(given if query.recorded else ~given)
    if query.min_seconds is not None:
        conditions.append(calls.c.seconds >= query.min_seconds)
    if query.sort == "longest":
        conditions.append(calls.c.seconds.is_not(None))
    return conditions


def _said(text: str) -> list[ColumnElement[bool]]:
    if not (said := split(text)):
        return [false()]  # signs alone are in no call
    *whole, last = said
    matches = [words.c.word == word for word in dict.fromkeys(whole)]
    if len(last) < _SHORTEST:
        matches.append(words.c.word == last)
    else:
        # A range, where LIKE would need an index of its own.
        matches.append(and_(words.c.word >= last, words.c.word < last + _HIGHEST))
    return [calls.c.number.in_(select(words.c.call).where(match)) for match in matches]
