"""Finds in what a caller said the values that a tool takes."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from offhook.speech.numerals import digits
from offhook.speech.sums import expression
from offhook.speech.tools import phrases
from offhook.speech.tools.arguments import build, leaves
from offhook.speech.tools.dates import SECONDS, find_date, find_durations, find_time
from offhook.speech.tools.kinds import TEXTS, as_number, kind_of, leading, unit_of
from offhook.speech.tools.phrases import TAKEN
from offhook.speech.tools.schemas import Parameter
from offhook.speech.tools.words import STOP, parts, senses, stem, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from offhook.speech.tools.arguments import Values
    from offhook.speech.tools.dates import Found

_PLACES = "in|at|for|near|around|of|to|into|from|on|about"
_BY_NAME = "named|called|name is|name's"
_PEOPLE = (
    rf"{_BY_NAME}|under the name(?: of)?|under|for|to|with|by|from|tell|email|message|"
    "call|text|contact|doctor|i am|i'm"
)
_LOOSE_PEOPLE = rf"{_BY_NAME}|for|to|by|with|under|call|email|text|contact"
_PROPER = frozenset("city country town airport location".split())
_OPPOSITES = [
    tuple(map(stem, pair.split("/")))
    for pair in """on/off enable/disable activate/deactivate open/close lock/unlock
    mute/unmute start/stop with/without yes/no true/false""".split()
]
_SWITCHES = frozenset(map(stem, "on enabled active state value power is".split()))
_NOT = frozenset({"no", "not", "without", "don't", "non"})
_NUMBER = re.compile(r"(?<![\w.])(?:(?:minus |-)?\d+(?:\.\d+)?)(?![\w]|\.\d)")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_PERCENT = re.compile(r" ?(?:%|per ?cent)")
_NEXT = re.compile(r"[\w ,]{0,24}(?:,|\band\b)[\w ]{0,12}")
_YES = re.compile(r"(?:yes|yeah|yep|yup|sure|ok|okay|please|correct|right|true|on)\b")
_NO = re.compile(r"(?:no|nope|nah|not|false|off|don't)\b")
_NEAR = 40
"""Characters around a number in which its name stands."""

_LONGEST = 6
"""Words of a name; who says more has not answered the question for one."""


class Reading:
    """What a text says about the parameters of a tool.

    Args:
        text: What the caller said.
        parameters: What to look for.
        now: What "today" refers to.
        about: Words that name the tool, and therefore no argument.
        guess: Whether what is left over may be the one value that is missing.
    """

    def __init__(
        self,
        text: str,
        parameters: Sequence[Parameter],
        now: datetime,
        about: frozenset[str] = frozenset(),
        *,
        guess: bool = True,
    ) -> None:
        self.values: Values = {}
        self._text = text.replace("\u2019", "'")
        self._rest = self._text
        self._now = now
        self._about = about
        self._own: frozenset[str] = frozenset()
        wanted = [(kind_of(leaf), path, leaf) for path, leaf in leaves(parameters)]
        self._units = {unit_of(leaf) for kind, _, leaf in wanted if kind == "duration"}
        for step, find in self._steps():
            if step == "email":
                self._rest = _THOUSANDS.sub("", digits(self._rest))
            for kind, path, leaf in wanted:
                if kind == step and path not in self.values:
                    self._own = frozenset(map(stem, parts(leaf.name)))
                    self._keep(path, leaf, find(leaf))
        missing = [(p, leaf) for _, p, leaf in wanted if p not in self.values]
        needed = [(path, leaf) for path, leaf in missing if leaf.needed]
        # With two of them nobody could tell which one it is.
        if guess and len(needed) == 1 and needed[0][1].type == "string":
            path, leaf = needed[0]
            names = [part for _, _, leaf in wanted for part in parts(leaf.name)]
            self._own = frozenset(map(stem, names))
            besides = STOP if kind_of(leaf) in TEXTS else phrases.NOBODY
            left = phrases.leftover(self._rest, self._is_known, besides=besides)
            self._keep(path, leaf, left)

    def _steps(self) -> Iterator[tuple[str, Callable[[Parameter], Any]]]:
        """What finds each kind; free text goes first, for anything may stand in it."""
        yield from (
            ("message", self._message),
            ("email", self._email),
            ("url", self._url),
            ("choice", self._choice),
            ("duration", self._duration),
            ("datetime", self._moment),
            ("date", self._date),
            ("time", self._time),
            ("phone", self._phone),
            ("number", self._hinted_number),
            ("code", self._code),
            ("number", self._number),
            ("boolean", self._switch),
            ("subject", self._subject),
            ("place", self._place),
            ("person", self._person),
            ("sum", self._sum),
            ("search", self._search),
            ("whole", self._whole),
            ("array", self._array),
        )

    def _keep(self, path: tuple[str, ...], parameter: Parameter, value: Any) -> None:
        """Keep the values that fit: a list holds several, for as many calls."""
        is_one = parameter.type == "array" or not isinstance(value, list)
        values = [value] if is_one else value
        good = [v for v in values if v not in (None, "", []) and parameter.fits(v)]
        if good:
            self.values[path] = good

    def _take(self, found: Found[Any] | None) -> Any:
        """Take what was found, so that nothing else takes it too."""
        if found is None:
            return None
        gap = TAKEN * (found.end - found.start)
        self._rest = self._rest[: found.start] + gap + self._rest[found.end :]
        return found.value

    def _before(self, at: int) -> str:
        return self._rest[max(at - _NEAR, 0) : at]

    def _is_known(self, word: str) -> bool:
        return not (self._about | self._own).isdisjoint(senses(stem(word)))

    def _is_own(self, word: str) -> bool:
        return not self._own.isdisjoint(senses(stem(word)))

    def _message(self, _: Parameter) -> Any:
        return self._take(phrases.saying(self._rest))

    def _subject(self, _: Parameter) -> Any:
        return self._take(phrases.about(self._rest))

    def _email(self, _: Parameter) -> Any:
        return self._take(phrases.email(self._rest))

    def _url(self, _: Parameter) -> Any:
        return self._take(phrases.url(self._rest))

    def _phone(self, _: Parameter) -> Any:
        return self._take(phrases.phone(self._rest))

    def _search(self, parameter: Parameter) -> str:
        return phrases.searched(self._text, anyway=parameter.needed)

    def _whole(self, parameter: Parameter) -> str | None:
        return phrases.plain_request(self._text) if parameter.needed else None

    def _sum(self, _: Parameter) -> str | None:
        found = expression(self._text.lower())
        # What is per cent here is the remainder in most languages.
        return None if found is None or "%" in found else " ".join(found.split())

    def _date(self, _: Parameter) -> str | None:
        day = self._take(find_date(self._rest, self._now.date()))
        return day.isoformat() if day else None

    def _time(self, parameter: Parameter) -> str | None:
        at = self._take(find_time(self._rest))
        exact = parameter.schema.get("format") == "time"
        return at.isoformat("seconds" if exact else "minutes") if at else None

    def _moment(self, _: Parameter) -> str | None:
        # A message that was taken before may hold it: "remind me to call at seven".
        for text in (self._rest, digits(self._text)):
            day, at = find_date(text, self._now.date()), find_time(text)
            if at:
                date = day.value if day else self._now.date()
                if text is self._rest:
                    self._take(at)
                    self._take(day)
                return datetime.combine(date, at.value).isoformat()
        return None

    def _choice(self, parameter: Parameter) -> list[Any]:
        spots = []
        for choice in parameter.choices:
            said = "[ _-]*".join(map(re.escape, parts(str(choice)) or [str(choice)]))
            ending = "(?:e?s|ing|ed)?" if isinstance(choice, str) else ""
            for found in re.finditer(rf"(?i)(?<!\w){said}{ending}(?!\w)", self._rest):
                start, end = found.span()
                before = self._before(start).lower().split()[-1:]
                led = before and before[0] in leading(parameter).split("|")
                spots.append((not led, start, -end, choice))
        chosen: list[Any] = []
        last = None
        for _, start, minus_end, choice in sorted(spots, key=lambda spot: spot[:3]):
            if last is None or _NEXT.fullmatch(self._rest[last:start]):
                chosen.append(choice)
                last = -minus_end
                gap = TAKEN * (last - start)
                self._rest = self._rest[:start] + gap + self._rest[last:]
        return list(dict.fromkeys(chosen))

    def _duration(self, parameter: Parameter) -> Any:
        unit = unit_of(parameter)
        others = self._units - {unit}
        found = find_durations(self._rest)
        found = [one for one in found if one.value[1] not in others]
        if not found:
            is_number = parameter.type != "string"
            return self._hinted_number(parameter) if is_number else None
        said = self._rest[found[0].start : found[-1].end]
        for one in found:
            self._take(one)
        if parameter.type == "string":
            return said
        seconds = sum(SECONDS[one.value[1]] * one.value[0] for one in found)
        return as_number(parameter, seconds / SECONDS[unit or "second"])

    def _hinted_number(self, parameter: Parameter) -> int | float | None:
        for found in _NUMBER.finditer(self._rest):
            before = words(self._before(found.start()))[-2:]
            after = words(self._rest[found.end() : found.end() + _NEAR])[:2]
            if any(map(self._is_own, before + after)):
                return self._as_number(parameter, found)
        return None

    def _number(self, parameter: Parameter) -> int | float | None:
        found = _NUMBER.search(self._rest) if parameter.needed else None
        return self._as_number(parameter, found) if found else None

    def _as_number(
        self, parameter: Parameter, found: re.Match[str]
    ) -> int | float | None:
        number = float(found[0].replace("minus ", "-"))
        start, end = found.span()
        if parameter.limits[1] <= 1 and _PERCENT.match(self._rest[end:]):
            number /= 100
        self._rest = self._rest[:start] + TAKEN * (end - start) + self._rest[end:]
        return as_number(parameter, number)

    def _code(self, parameter: Parameter) -> Any:
        found = list(phrases.codes(self._rest))
        hinted = [
            code
            for code in found
            if any(map(self._is_own, words(self._before(code.start))[-3:]))
        ]
        code = self._take(next(iter(hinted or found), None))
        if parameter.type == "string" or code is None:
            return code
        return int(code) if code.isdecimal() else None

    def _switch(self, parameter: Parameter) -> bool | None:
        said = [word.lower() for word in words(self._rest)]
        stems = list(map(stem, said))
        for yes, no in _OPPOSITES:
            if not self._own.isdisjoint({yes, no, *_SWITCHES}):
                is_yes = yes in self._own or no not in self._own
                if no in stems:
                    return not is_yes
                if yes in stems:
                    return is_yes
        own = list(map(stem, parts(parameter.name)))
        for at in range(len(stems)):
            if stems[at : at + len(own)] == own:
                return _NOT.isdisjoint(said[max(at - 2, 0) : at])
        return None

    def _place(self, parameter: Parameter) -> list[str] | str | None:
        own = set(parts(parameter.name))
        if "to" in own and (address := self._take(phrases.email(self._rest))):
            return str(address)
        before = leading(parameter)
        anywhere = parameter.needed and not before
        before = before or _PLACES
        names = phrases.named(self._rest, before, self._is_known, anywhere=anywhere)
        if names:
            return list(self._take(names))
        before = before.removesuffix("|about")  # "how about jokes" names no place
        found = phrases.loose(self._rest, before, self._is_known)
        said = str(self._take(found) or "")
        return said.title() if own & _PROPER else said

    def _person(self, parameter: Parameter) -> str | None:
        if address := self._take(phrases.email(self._rest)):
            return str(address)
        anywhere = parameter.needed
        names = phrases.named(self._rest, _PEOPLE, self._is_known, anywhere=anywhere)
        if names:
            return " and ".join(self._take(names))
        said = self._take(phrases.loose(self._rest, _LOOSE_PEOPLE, self._is_known))
        return said.title() if said else None

    def _array(self, parameter: Parameter) -> list[Any] | None:
        item = parameter.item or Parameter("", "string")
        if item.inner:
            found = Reading(self._rest, item.inner, self._now, self._about).values
            values, missing = build(item.inner, found)
            return [values] if found and not missing else None
        if item.choices:
            return self._choice(item)
        if item.type in ("integer", "number"):
            numbers = (as_number(item, float(n)) for n in _NUMBER.findall(self._rest))
            return [n for n in numbers if n is not None and item.fits(n)]
        if item.type != "string":
            return None
        kind = kind_of(Parameter(parameter.name.removesuffix("s"), "string"))
        if kind in ("place", "person"):
            before = _PLACES if kind == "place" else _PEOPLE
            names = phrases.named(self._rest, before, self._is_known, anywhere=True)
            if names:
                return [*self._take(names)]
        if not parameter.needed:
            return None
        said = phrases.leftover(self._rest, self._is_known, several=True)
        return [one for one in said if item.fits(one)]


def answer(parameter: Parameter, text: str) -> Any:
    """What a text says that only answers the question for a parameter."""
    said, numbers = phrases.bare(text), phrases.bare(digits(text))
    kind = kind_of(parameter)
    value: Any = said
    if kind in TEXTS:
        marked = phrases.saying(text)
        value = marked.value if marked else phrases.plain_request(text)
    elif parameter.type == "boolean":
        low = said.lower()
        value = True if _YES.match(low) else False if _NO.match(low) else None
    elif parameter.type in ("integer", "number"):
        found = _NUMBER.search(_THOUSANDS.sub("", numbers))
        value = as_number(parameter, float(found[0])) if found else None
    elif parameter.type == "array":
        strings = parameter.item is None or parameter.item.type == "string"
        value = phrases.listed(said) if strings else None
    elif kind == "time":
        at = find_time(numbers, bare=True)
        value = at.value.isoformat("minutes") if at else None
    elif kind in ("date", "datetime", "email", "url", "choice", "phone"):
        value = None
    elif kind == "code":
        value = re.sub(r"\s", "", numbers) if re.search(r"\d", numbers) else None
    elif kind != "left" and len(said.split()) > _LONGEST:
        value = None
    elif kind in ("place", "person") and said.islower():
        value = said.title()
    return value if value not in (None, "") and parameter.fits(value) else None
