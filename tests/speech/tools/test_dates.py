from __future__ import annotations

from datetime import date, time

import pytest

from offhook.speech.numerals import digits
from offhook.speech.tools.dates import find_date, find_durations, find_time

TODAY = date(2026, 11, 22)  # a Sunday


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", "2026-11-22"),
        ("tomorrow at seven", "2026-11-23"),
        ("the day after tomorrow", "2026-11-24"),
        ("yesterday", "2026-11-21"),
        ("on Monday", "2026-11-23"),
        ("next sunday", "2026-11-29"),
        ("in two weeks", "2026-12-06"),
        ("in a day", "2026-11-23"),
        ("on November twenty fourth", "2026-11-24"),
        ("the twenty-fourth of November", "2026-11-24"),
        ("December 3rd", "2026-12-03"),
        ("January the first", "2027-01-01"),
        ("on the thirty-first of December", "2026-12-31"),
        ("May 3rd, 1980", "1980-05-03"),
        ("February 29th", "2028-02-29"),
        ("2027-02-03", "2027-02-03"),
    ],
)
def test_dates(text: str, day: str) -> None:
    found = find_date(f"for {digits(text)} please", TODAY)
    assert found
    assert found.value == date.fromisoformat(day)


@pytest.mark.parametrize(
    "text",
    ["", "some day", "February 30", "2026-13-01", "in 99999999 weeks", "may 99", "4"],
)
def test_no_dates(text: str) -> None:
    assert find_date(text, TODAY) is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("at seven", "07:00"),
        ("at seven this evening", "19:00"),
        ("seven p.m.", "19:00"),
        ("twelve am", "00:00"),
        ("at 12 pm", "12:00"),
        ("7:30 pm", "19:30"),
        ("seven thirty p.m.", "19:30"),
        ("at ten thirty", "10:30"),
        ("19:05", "19:05"),
        ("nine o'clock", "09:00"),
        ("half past six in the evening", "18:30"),
        ("quarter to eight", "07:45"),
        ("quarter to one", "00:45"),
        ("noon", "12:00"),
        ("at midnight", "00:00"),
    ],
)
def test_times(text: str, at: str) -> None:
    found = find_time(digits(f"tomorrow {text} please"))
    assert found
    assert found.value == time.fromisoformat(at)


def test_a_number_alone_is_a_time_only_where_one_is_asked_for() -> None:
    assert find_time("for 4") is None
    assert find_time("4") is None
    found = find_time("4", bare=True)
    assert found
    assert found.value == time(4)


@pytest.mark.parametrize(
    ("text", "durations"),
    [
        ("five minutes", [(5, "minute")]),
        ("an hour and a half", [(1.5, "hour")]),
        ("half an hour", [(0.5, "hour")]),
        ("two minutes and 30 seconds", [(2, "minute"), (30, "second")]),
        ("soon", []),
    ],
)
def test_durations(text: str, durations: list[tuple[float, str]]) -> None:
    found = find_durations(digits(text))
    assert [one.value for one in found] == durations
