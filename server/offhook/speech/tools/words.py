"""Words of names and of sentences, in a form in which they can be compared."""

from __future__ import annotations

import functools
import re

STOP = frozenset(
    """a about all also am an and any are as at be been but by can could current
    currently did do does for from give had has have he hello her hey hi his how i if in
    into is it its just know let like may me much my need not now of off ok okay on one
    or our out please right she should so some than that the their them then there
    these they this those to today us use used using was we were what when where which
    who why will with would want you your""".split()
)

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\dA-Z_]+|\d+")
_LATIN = re.compile(r"(?:ations?|at(?:e[sd]?|ing|ors?))$")
_ENDING = re.compile(r"(?:ings?|ed|es|(?<![sui])s)$")

# Who says one of a row may mean another.
_ALIKE = """
    weather rain rainy sunny forecast umbrella temperature snow wind hot cold
    light lights lamp lamps
    email mail emails
    reserve book
    search google find
    music song songs tune
    volume loud louder quieter sound
    timer countdown
    order parcel package delivery shipment
    buy purchase
    support human person operator representative
    billing bill invoice payment
    refund money
    calendar event appointment meeting schedule
    end hang quit
    stock share shares
    calculate compute math
    size people persons guests
    alarm wake
    contact phone
    list shopping
    thermostat heating temperature warmer colder
    remind reminder
    translate translation translator
"""


@functools.lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """Take endings off: "bookings" and "booked" become what "book" becomes."""
    word = word.lower().partition("'")[0].partition("\u2019")[0]
    for ending in (_LATIN, _ENDING):
        shorter = ending.sub("", word)
        if shorter != word and len(shorter) >= 3:
            word = shorter
            break
    if len(word) > 3:
        word = re.sub(r"(?<=[^aeiou])y$", "i", word.removesuffix("e"))
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def words(text: str) -> list[str]:
    """The words of a text, as they stand."""
    return _WORD.findall(text)


def parts(name: str) -> list[str]:
    """The words of an identifier: "lookupOrder_by-id" has four."""
    return [part.lower() for part in _PART.findall(name)]


def senses(stemmed: str) -> frozenset[str]:
    """A stem, and all that those who say it may mean."""
    return _SENSES.get(stemmed) or frozenset((stemmed,))


_SENSES: dict[str, frozenset[str]] = {}
for _row in _ALIKE.strip().splitlines():
    _alike = frozenset(map(stem, _row.split()))
    for _stem in _alike:
        _SENSES[_stem] = _SENSES.get(_stem, frozenset()) | _alike
