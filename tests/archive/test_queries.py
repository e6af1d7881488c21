from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.dialects import sqlite

from offhook.archive.queries import cursor, listed
from offhook.archive.records import CallQuery
from offhook.errors import InvalidRequest

if TYPE_CHECKING:
    from offhook.archive.records import Sort

ROW = SimpleNamespace(began=100.25, seconds=7.5, number=3)


def sql(query: CallQuery) -> str:
    compiled = listed(query).compile(dialect=sqlite.dialect())
    return " ".join(str(compiled).partition("WHERE")[2].split())


@pytest.mark.parametrize("given", ["", "x", "[]", "WzEsMl0", "é", "A" * 10_000])
def test_a_cursor_of_another_kind_is_refused(given: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        listed(CallQuery(cursor=given))


@pytest.mark.parametrize("sort", ["newest", "oldest", "longest"])
def test_a_cursor_is_for_its_own_sort(sort: Sort) -> None:
    given = cursor(CallQuery(sort=sort), ROW)
    listed(CallQuery(sort=sort, cursor=given))
    for other in {"newest", "oldest", "longest"} - {sort}:
        with pytest.raises(InvalidRequest, match="cursor"):
            listed(CallQuery(sort=other, cursor=given))  # type: ignore[arg-type]  # any query


@pytest.mark.parametrize("limit", [-1, 0, 1001])
def test_a_page_has_a_limit(limit: int) -> None:
    with pytest.raises(InvalidRequest, match="limit"):
        listed(CallQuery(limit=limit))


def test_pages_go_on_by_the_index() -> None:
    given = cursor(CallQuery(), ROW)
    assert "(calls.began, calls.number) < (?, ?)" in sql(CallQuery(cursor=given))
    oldest = cursor(CallQuery(sort="oldest"), ROW)
    assert "(calls.began, calls.number) > (?, ?)" in sql(
        CallQuery(sort="oldest", cursor=oldest)
    )


def test_what_was_said_is_never_part_of_the_statement() -> None:
    assert "parcel" not in sql(CallQuery(text="parcel", agent="x'; --"))
    assert "--" not in sql(CallQuery(text="parcel", agent="x'; --"))
