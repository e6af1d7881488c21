from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from offhook.errors import InvalidRequest
from offhook.protocol.validation import Strict, check


class Inner(Strict):
    count: int


class Outer(Strict):
    inner: list[Inner]
    name: str | None = None


ADAPTER: TypeAdapter[Any] = TypeAdapter(Outer)


def test_a_good_value_becomes_a_model() -> None:
    assert check(ADAPTER, {"inner": [{"count": 1}]}).inner[0].count == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "Missing required parameter: 'event.inner'."),
        (
            {"inner": [{"count": 1}, {"count": "1"}]},
            "Invalid type for 'event.inner[1].count': "
            "expected an integer, got a string instead.",
        ),
        (
            {"inner": [{"count": True}]},
            "Invalid type for 'event.inner[0].count': "
            "expected an integer, got a boolean instead.",
        ),
        ({"inner": [], "x": 1}, "Unknown parameter: 'event.x'."),
        (
            {"inner": None},
            "Invalid type for 'event.inner': expected an array, got null instead.",
        ),
    ],
)
def test_findings_are_said_as_the_service_says_them(value: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(ADAPTER, value, "event")
    assert caught.value.message == message
