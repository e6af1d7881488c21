from __future__ import annotations

import pytest

from offhook.speech.tools.kinds import as_number, kind_of, leading, unit_of
from offhook.speech.tools.schemas import Parameter


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("city", "place"),
        ("city_name", "place"),
        ("destinationAirport", "place"),
        ("name", "person"),
        ("account_name", "person"),
        ("recipient", "person"),
        ("email", "email"),
        ("email_body", "message"),
        ("customer-email", "email"),
        ("order_number", "code"),
        ("zip_code", "code"),
        ("phone_number", "phone"),
        ("departure_date", "date"),
        ("start_time", "time"),
        ("duration", "duration"),
        ("message", "message"),
        ("subject", "subject"),
        ("search_query", "search"),
        ("question", "whole"),
        ("expression", "sum"),
        ("website", "url"),
        ("colour", "left"),
        ("名前", "left"),
    ],
)
def test_kinds_of_strings(name: str, kind: str) -> None:
    assert kind_of(Parameter(name, "string")) == kind


@pytest.mark.parametrize(
    ("parameter", "kind"),
    [
        (Parameter("x", "string", {"format": "date-time"}), "datetime"),
        (Parameter("x", "string", {"format": "email"}), "email"),
        (Parameter("x", "string", choices=("a",)), "choice"),
        (Parameter("city", "array"), "array"),
        (Parameter("city", "boolean"), "boolean"),
        (Parameter("size", "integer"), "number"),
        (Parameter("order_id", "integer"), "code"),
        (Parameter("timeout_ms", "integer"), "duration"),
    ],
)
def test_kinds_by_type(parameter: Parameter, kind: str) -> None:
    assert kind_of(parameter) == kind


@pytest.mark.parametrize(
    ("name", "about", "unit"),
    [
        ("seconds", "", "second"),
        ("durationMinutes", "", "minute"),
        ("duration", "How long, in minutes.", "minute"),
        ("duration", "", "second"),
        ("timeout_ms", "", "millisecond"),
        ("size", "How many minutes", None),
    ],
)
def test_units(name: str, about: str, unit: str | None) -> None:
    assert unit_of(Parameter(name, "integer", {"description": about})) == unit
    assert unit_of(Parameter(name, "string")) is None


def test_where_a_place_leads() -> None:
    assert leading(Parameter("origin", "string")) == "from"
    assert "to" in leading(Parameter("to_city", "string")).split("|")
    assert leading(Parameter("city", "string")) == ""


def test_numbers_have_the_type_of_their_parameter() -> None:
    assert as_number(Parameter("n", "integer"), 2.0) == 2
    assert as_number(Parameter("n", "integer"), 2.5) is None
    assert as_number(Parameter("n", "number"), 2.5) == 2.5
