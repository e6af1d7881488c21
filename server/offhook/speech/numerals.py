"""Numbers in words, as they are spoken, and in digits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_VALUES = {word: value for value, word in enumerate(_SMALL)}
_VALUES |= {word: value * 10 for value, word in enumerate(_TENS, 2)}

_WORD = rf"(?:{'|'.join([*_VALUES, *_SCALES, 'hundred'])})"
_SCALE = rf"(?:{'|'.join([*_SCALES, 'hundred'])})"
_AFTER_SCALE = "|".join(rf"(?<={scale})" for scale in [*_SCALES, "hundred"])
_RUN = re.compile(
    rf"\b(?:an? (?={_SCALE}\b))?{_WORD}\b"
    rf"(?:(?:{_AFTER_SCALE}) and {_WORD}\b|[ -]{_WORD}\b)*"
    rf"(?: point(?P<decimals>(?: (?:{'|'.join([*_SMALL[:10], 'oh'])})\b)+))?",
    re.IGNORECASE,
)


def digits(text: str) -> str:
    """Write the numbers of a text in digits: "two hundred and five" as "205"."""
    return _RUN.sub(_write, text)


def spoken(value: Fraction) -> str:
    """Write a number in digits that are short to say, with "about" if they round it."""
    if value.denominator == 1:
        return f"{value.numerator:,}"  # without the comma 5280 is spoken as a year
    exact = round(value, 4)
    if exact == value:
        return f"{float(value):,.4f}".rstrip("0")
    rounded = round(value, 2) if abs(value) >= 1 else exact
    if rounded.denominator == 1:
        return f"about {rounded.numerator:,}"
    return "about " + f"{float(rounded):,.4f}".rstrip("0")


def _write(run: re.Match[str]) -> str:
    text, decimals = run[0].lower(), run["decimals"]
    whole = text.partition(" point")[0]
    numbers = _read([word for word in re.findall("[a-z]+", whole) if word != "and"])
    written = " ".join(map(str, numbers))
    if not decimals:
        return written
    return f"{written}." + "".join(
        str(_VALUES.get(word, 0)) for word in decimals.lower().split()
    )


def _read(words: list[str]) -> list[int]:
    """Add words up; where one does not fit the number so far, another begins."""
    numbers: list[int] = []
    total = group = 0
    room = 0  # what the number can still take is smaller than this; 0: nothing
    for word in words:
        if word in _VALUES:
            value = _VALUES[word]
            if not 0 < value < room:
                numbers.append(0)
                total = group = 0
            group += value
            room = 10 if value >= 20 else 0
        elif word == "hundred":
            if not numbers:
                numbers.append(0)
            group, room = max(group, 1) * 100, 100
        elif word in _SCALES:
            if not numbers:
                numbers.append(0)
            total, group, room = total + max(group, 1) * _SCALES[word], 0, 1000
        if numbers:
            numbers[-1] = total + group
    return numbers
