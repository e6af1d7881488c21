"""Dates, times of day and durations, as people say them."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Generic, TypeVar

_T = TypeVar("_T")
_DAYS = {name.lower(): at for at, name in enumerate(calendar.day_name)}
_MONTHS = {name.lower(): at for at, name in enumerate(calendar.month_name) if name}
DAYS, MONTHS = frozenset(_DAYS), frozenset(_MONTHS)
_ORDINALS = {
    name: at
    for at, name in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh "
        "twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth "
        "nineteenth twentieth".split(),
        1,
    )
} | {"thirtieth": 30}
SECONDS = {
    "millisecond": 0.001,
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86400,
    "week": 604800,
}
"""How long the units of a duration are."""

_NEAR = {
    "day after tomorrow": 2,
    "day before yesterday": -2,
    "today": 0,
    "tonight": 0,
    "tomorrow": 1,
    "yesterday": -1,
}
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_NTH = (
    rf"(?:(?P<tens>20|30)[ -])?(?P<nth>\d{{1,2}}(?:st|nd|rd|th)?|{'|'.join(_ORDINALS)})"
)
_DATES = [
    re.compile(rf"\b(?:on |for |by )?(?:the )?{pattern}\b", re.IGNORECASE)
    for pattern in (
        r"(?P<iso>\d{4}-\d{2}-\d{2})",
        rf"(?P<near>{'|'.join(_NEAR)})",
        r"in (?P<later>\d+|an?) (?P<unit>day|week)s?",
        rf"{_MONTH} (?:the )?{_NTH}(?:,? (?P<year>\d{{4}}))?",
        rf"{_NTH} (?:of )?{_MONTH}(?:,? (?P<year>\d{{4}}))?",
        rf"(?:this |next |coming )*(?P<day>{'|'.join(_DAYS)})",
    )
]
_HALF = r"(?P<half>[ap])\.?m\b\.?"
_CLOCK = r"(?P<hour>[01]?\d|2[0-3])(?:[ :.](?P<minute>[0-5]\d))?"
_TIMES = [
    re.compile(rf"\b(?:at |by |from |around |for )?{pattern}", re.IGNORECASE)
    for pattern in (
        rf"{_CLOCK} ?{_HALF}",
        rf"{_CLOCK} o'?clock\b",
        r"(?P<past>half|quarter) (?P<way>past|to) (?P<hour>1[0-2]|[1-9])\b",
        r"(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)\b",
        r"(?P<word>noon|midday|midnight)\b",
    )
]
_AT = re.compile(rf"\bat {_CLOCK}\b(?! \w+ (?:street|avenue|road))", re.IGNORECASE)
_BARE = re.compile(rf"^\W*{_CLOCK}\W*$")
_LATE = re.compile(r"\b(?:tonight|evening|afternoon|dinner)\b", re.IGNORECASE)
_DURATION = re.compile(
    r"\b(?:(?P<half>half (?:an? )?)|(?P<amount>\d+(?:\.\d+)?|an?)[ -])"
    rf"(?P<unit>{'|'.join(SECONDS)})s?\b(?P<more> and a half)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Found(Generic[_T]):
    """What a text says, and where."""

    value: _T
    start: int
    end: int


def find_date(text: str, today: date) -> Found[date] | None:
    """The first date that a text with its numbers in digits names."""
    for pattern in _DATES:
        for match in pattern.finditer(text):
            day = _day({k: v for k, v in match.groupdict().items() if v}, today)
            if day:
                return Found(day, *match.span())
    return None


def find_time(text: str, *, bare: bool = False) -> Found[time] | None:
    """The first time of day that a text names.

    Args:
        text: With its numbers in digits.
        bare: Whether a number alone is one.
    """
    for pattern in (*_TIMES, _AT, *([_BARE] if bare else ())):
        if match := pattern.search(text):
            parts = {k: v for k, v in match.groupdict().items() if v}
            return Found(_clock(parts, bool(_LATE.search(text))), *match.span())
    return None


def find_durations(text: str) -> list[Found[tuple[float, str]]]:
    """The durations that a text with its numbers in digits names: amount and unit."""
    return [
        Found((_amount(match), match["unit"].lower()), *match.span())
        for match in _DURATION.finditer(text)
    ]


def _amount(match: re.Match[str]) -> float:
    said = match["amount"] or ""
    amount = 0.5 if match["half"] else float(said) if said[:1].isdigit() else 1.0
    return amount + (0.5 if match["more"] else 0)


def _day(said: dict[str, str], today: date) -> date | None:
    if near := said.get("near"):
        return today + timedelta(_NEAR[near.lower()])
    if later := said.get("later"):
        days = int(later) if later.isdigit() else 1
        days *= 7 if said["unit"].lower() == "week" else 1
        return today + timedelta(days) if days < 10_000 else None
    if day := said.get("day"):
        return today + timedelta((_DAYS[day.lower()] - today.weekday() - 1) % 7 + 1)
    try:
        if iso := said.get("iso"):
            return date.fromisoformat(iso)
        return _in_month(said, today)
    except ValueError:
        return None


def _in_month(said: dict[str, str], today: date) -> date:
    nth = said["nth"].lower()
    day = _ORDINALS.get(nth) or int(re.sub(r"\D", "", nth))
    day += int(said.get("tens", 0))
    month = _MONTHS[said["month"].lower()]
    if year := said.get("year"):
        return date(int(year), month, day)
    # The 29th of February may have to wait for years.
    for later in range(9):
        if day > calendar.monthrange(today.year + later, month)[1]:
            continue
        if (found := date(today.year + later, month, day)) >= today:
            return found
    raise ValueError(nth)


def _clock(said: dict[str, str], late: bool) -> time:
    if word := said.get("word"):
        return time(0 if word.lower() == "midnight" else 12)
    hour, minute = int(said["hour"]), int(said.get("minute", 0))
    if past := said.get("past"):
        minute = 30 if past.lower() == "half" else 15
        if said["way"].lower() == "to":
            hour, minute = hour - 1, 60 - minute
    half = said.get("half", "p" if late and 0 < hour < 12 else "").lower()
    if half and hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    return time(hour % 24, minute)
