"""Sums, as people say them: "what is twelve percent of two hundred?"."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from offhook.speech.numerals import digits, spoken

_SPOKEN = {
    "+": "plus",
    "-": "minus",
    "*": "times",
    "/": "divided by",
    "%": "percent of",
    "^": "to the power of",
    "sqrt": "the square root of",
}
_SYMBOLS = (
    (r"\b(?:multiplied (?:by|with)|times)\b|[\u00d7\u00b7]|(?<=\d) ?x ?(?=\d)", "*"),
    (r"\b(?:divided by|over)\b|÷", "/"),
    (r"\b(?:plus|added to)\b", "+"),
    (r"\b(?:minus|negative|take away)\b|[\u2212\u2013]", "-"),
    (r"(?:\bper ?cent|%) of\b", "%"),
    (r"\b(?:to the power of|raised to)\b|\*\*", "^"),
    (r"\bsquared\b|²", "^ 2"),
    (r"\bcubed\b|³", "^ 3"),
    (r"\b(?:the )?square root of\b|√", "sqrt"),
    (r"\bhalf of\b", "0.5 *"),
)
_NUMBER = r"\d+(?:\.\d+)?"
_OPERAND = rf"(?:sqrt *|- *)*{_NUMBER}(?: *\^ *-? *{_NUMBER})?"
_SUM = re.compile(rf"{_OPERAND}(?: *[-+*/%] *{_OPERAND})*")
_TOKEN = re.compile(rf"{_NUMBER}|sqrt|[-+*/%^]")
_FILLERS = re.compile(
    r"\b(?:what|is|was|are|how|much|many|does|do|calculate|compute|work out|tell me|"
    r"the|result of|answer to|sum of|equals?|makes?|please|hey|hi|hello|ok|okay|so|um|uh|"
    r"and|can you|could you|i want to know|i would like to know)\b|[=?!.,:;]"
)
_HOMOPHONES = {"to": 2, "too": 2, "for": 4, "ate": 8, "mine": 9, "won": 1}
_LARGEST = 10**15


class _TooLarge(Exception):
    """The result has more digits than anybody wants to hear."""


def solve(text: str) -> str | None:
    """Answer a text that asks for a sum and for nothing else.

    Args:
        text: What the caller said, in lower case.
    """
    found = expression(text) or expression(_homophones(text))
    if found is None:
        return None
    tokens = _TOKEN.findall(found)
    question = " ".join(_SPOKEN.get(token, token) for token in tokens)
    try:
        value = _Sum(tokens).value()
    except ZeroDivisionError:
        return "I cannot divide by zero."
    except ValueError:
        return "That has no real answer."
    except _TooLarge:
        return "That is too large for me."
    return f"{question[0].upper()}{question[1:]} is {spoken(value)}."


def expression(text: str) -> str | None:
    """The sum, in symbols, of a text that holds one sum and words to ask for it."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", digits(text))
    for pattern, symbol in _SYMBOLS:
        text = re.sub(pattern, f" {symbol} ", text)
    found = [m for m in _SUM.finditer(text) if len(_TOKEN.findall(m[0])) > 1]
    if len(found) != 1:
        return None
    rest = text[: found[0].start()] + " " + text[found[0].end() :]
    alone = not _FILLERS.sub("", rest).strip()
    negative = re.fullmatch(rf"- *{_NUMBER}", found[0][0])
    return found[0][0] if alone and not negative else None


def _homophones(text: str) -> str:
    """Read "two plus two" where "to plus to" was heard."""
    words = "|".join(_HOMOPHONES)
    return re.sub(rf"\b(?:{words})\b", lambda m: str(_HOMOPHONES[m[0]]), text)


class _Sum:
    """Works a sum out by recursive descent, in fractions."""

    def __init__(self, tokens: list[str]) -> None:
        self._rest = tokens[::-1]

    def value(self) -> Fraction:
        value = self._product()
        while sign := self._take("+", "-"):
            value += self._product() if sign == "+" else -self._product()
        return _checked(value)

    def _product(self) -> Fraction:
        value = self._signed()
        while operator := self._take("*", "/", "%"):
            right = self._signed()
            if operator == "/":
                value /= right
            else:
                value *= right if operator == "*" else right / 100
        return value

    def _signed(self) -> Fraction:
        if self._take("-"):
            return -self._signed()
        if self._take("sqrt"):
            return _root(self._signed())
        return self._power()

    def _power(self) -> Fraction:
        base = Fraction(self._rest.pop())
        if not self._take("^"):
            return base
        exponent = self._signed()
        digits_expected = abs(exponent) * Fraction(math.log10(abs(base) or 1))
        if abs(digits_expected) > math.log10(_LARGEST):
            raise _TooLarge
        return Fraction(base**exponent)

    def _take(self, *wanted: str) -> str | None:
        found = self._rest and self._rest[-1] in wanted
        return self._rest.pop() if found else None


def _root(value: Fraction) -> Fraction:
    above, below = value.as_integer_ratio()
    root = Fraction(math.isqrt(above), math.isqrt(below))  # refuses what is negative
    return root if root * root == value else Fraction(math.sqrt(value))


def _checked(value: Fraction) -> Fraction:
    if abs(value) > _LARGEST:
        raise _TooLarge
    return value
