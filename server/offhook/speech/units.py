"""Conversion of units, as people ask for it: "how many feet are in a mile?"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from offhook.speech.numerals import digits, spoken


@dataclass(frozen=True)
class _Unit:
    """A unit: `factor * x + offset` is the same in the quantity's base unit."""

    quantity: str
    one: str
    many: str
    factor: Fraction
    offset: Fraction = Fraction(0)


def _table(quantity: str, rows: str) -> dict[str, _Unit]:
    """Read rows of `factor = plural, singular, other names`."""
    units: dict[str, _Unit] = {}
    for row in rows.strip().splitlines():
        factor, _, names = row.partition("=")
        many, one, *others = (name.strip() for name in names.split(","))
        unit = _Unit(quantity, one, many, Fraction(factor.strip()))
        units |= dict.fromkeys((many, one, *others), unit)
    return units


_UNITS = (
    _table(
        "length",
        """
        1 = meters, meter, metres, metre, m
        1000 = kilometers, kilometer, kilometres, kilometre, km
        0.01 = centimeters, centimeter, centimetres, centimetre, cm
        0.001 = millimeters, millimeter, millimetres, millimetre, mm
        1609.344 = miles, mile
        0.9144 = yards, yard
        0.3048 = feet, foot, ft
        0.0254 = inches, inch
        """,
    )
    | _table(
        "mass",
        """
        1 = kilograms, kilogram, kilos, kilo, kg
        0.001 = grams, gram, g
        0.45359237 = pounds, pound, lbs, lb
        0.028349523125 = ounces, ounce, oz
        1000 = tonnes, tonne
        """,
    )
    | _table(
        "volume",
        """
        1 = liters, liter, litres, litre
        0.001 = milliliters, milliliter, millilitres, millilitre, ml
        3.785411784 = gallons, gallon
        0.473176473 = pints, pint
        0.2365882365 = cups, cup
        """,
    )
    | _table(
        "time",
        """
        1 = seconds, second
        60 = minutes, minute
        3600 = hours, hour
        86400 = days, day
        604800 = weeks, week
        """,
    )
    | _table("speed", "1 = kilometers per hour, kilometer per hour, km/h, kph")
    | _table("speed", "1.609344 = miles per hour, mile per hour, mph")
)
for _names, _factor, _offset in (
    (("celsius", "centigrade"), Fraction(1), Fraction("273.15")),
    (("fahrenheit",), Fraction(5, 9), Fraction("459.67") * 5 / 9),
):
    _label = _names[0].title()
    _degrees = _Unit(
        "temperature", f"degree {_label}", f"degrees {_label}", _factor, _offset
    )
    for _name in _names:
        _UNITS |= dict.fromkeys(
            (_name, f"degrees {_name}", f"degree {_name}"), _degrees
        )

_NAME = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_AMOUNT = r"(?P<amount>(?:minus |-)?\d+(?:\.\d+)?|an?|the|1)"
_QUESTIONS = (
    re.compile(rf"\b{_AMOUNT} (?P<src>{_NAME}) (?:to|in|into|as) (?P<dst>{_NAME})\b"),
    re.compile(
        rf"\bhow many (?P<dst>{_NAME}) (?:are )?(?:there )?(?:in|is|are|make|does) "
        rf"{_AMOUNT} (?P<src>{_NAME})\b"
    ),
)


def convert(text: str) -> str | None:
    """Answer a text that asks to convert between units.

    Args:
        text: What the caller said, in lower case.
    """
    text = re.sub(r"(?<=\d),(?=\d{3})", "", digits(text)).replace("°", " degrees ")
    text = re.sub(r"(?<=\d)(?=[a-z])", " ", re.sub(r"\s+", " ", text))
    found = next((m for pattern in _QUESTIONS if (m := pattern.search(text))), None)
    if found is None:
        return None
    src, dst = _UNITS[found["src"]], _UNITS[found["dst"]]
    if src.quantity != dst.quantity:
        return f"I cannot turn {src.many} into {dst.many}."
    written = found["amount"].replace("minus ", "-")
    amount = Fraction(1) if written in ("a", "an", "the") else Fraction(written)
    value = (amount * src.factor + src.offset - dst.offset) / dst.factor
    return f"{_say(amount, src)} is {_say(value, dst)}."


def _say(value: Fraction, unit: _Unit) -> str:
    number = spoken(value).replace("-", "minus ")
    return f"{number} {unit.one if value == 1 else unit.many}"
