"""Finds in what a caller said the values that a tool takes."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from offhook.speech import phrases
from offhook.speech.arguments import build
from offhook.speech.dates import SECONDS, find_date, find_durations, find_time
from offhook.speech.kinds import as_number, kind_of, leading, unit_of
from offhook.speech.numerals import digits
from offhook.speech.phrases import TAKEN
from offhook.speech.sums import expression
from offhook.speech.words import parts, sense, stem, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from offhook.speech.arguments import Path, Values
    from offhook.speech.dates import Found
    from offhook.speech.schemas import Parameter

# Free text goes first, for anything may stand in it; what is left over goes last.
_ORDER = """message email url choice duration datetime date time phone quantity code
    number boolean subject place person sum search whole array left""".split()
_PLACES = "in|at|for|near|around|of|to|into|from|on|about"
_PEOPLE = (
    "named|called|(?:his|her|my|the) name is|name is|name's|under the name(?: of)?|"
    "under|for|to|with|by|from|tell|email|message|call|text|contact|doctor|i am|i'm"
)
_OPPOSITES = [
    pair.split("/")
    for pair in """on/off enable/disable activate/deactivate open/close lock/unlock
    mute/unmute start/stop with/without yes/no true/false""".split()
]
_SWITCHES = frozenset("on enabled enable active state value power powered is".split())
_NUMBER = re.compile(r"(?<![\w.])(?:(?:minus |-)?\d+(?:\.\d+)?)(?![\w]|\.\d)")
_YES = re.compile(
    r"^(?:yes|yeah|yep|yup|sure|ok|okay|please|correct|right|true|on)\b", re.I
)
_NO = re.compile(r"^(?:no|nope|nah|not|false|off|don't)\b", re.I)


class Reading:
    """What a text says about the parameters of a tool.

    Args:
        text: What the caller said.
        parameters: What to look for.
        now: What "today" refers to.
        about: Words that name the tool, and therefore no argument.
    """

    def __init__(
        self,
        text: str,
        parameters: Sequence[Parameter],
        now: datetime,
        about: frozenset[str] = frozenset(),
    ) -> None:
        self.values: Values = {}
        self._text = text.replace("\u2019", "'")
        self._rest = self._text
        self._now = now
        self._about = about
        self._own: frozenset[str] = frozenset()
        kinds = [(kind_of(leaf), path, leaf) for path, leaf in leaves(parameters)]
        self._units = {unit_of(leaf) for kind, _, leaf in kinds if kind == "duration"}
        for step in _ORDER:
            if step == "url":
                self._rest = digits(self._rest)
            for kind, path, leaf in kinds:
                if kind == step or (step == "quantity" and kind == "number"):
                    self._look(step, path, leaf)
                elif step == "left" and leaf.needed and kind in ("message", "place"):
                    self._look(step, path, leaf)

    def _look(self, kind: str, path: Path, parameter: Parameter) -> None:
        if path in self.values:
            return
        self._own = frozenset(map(stem, parts(parameter.name)))
        finders: dict[str, Callable[[Parameter], Any]] = {
            "message": lambda p: self._found(phrases.saying(self._rest)),
            "subject": lambda p: self._found(phrases.about(self._rest)),
            "email": lambda p: self._found(phrases.email(self._rest)),
            "url": lambda p: self._found(phrases.url(self._rest)),
            "phone": lambda p: self._found(phrases.phone(self._rest)),
            "search": lambda p: phrases.searched(self._text, anyway=p.needed),
            "whole": lambda p: phrases.plain_request(self._text) if p.needed else None,
            "sum": lambda p: self._sum(),
            "date": lambda p: self._date(),
            "time": lambda p: self._time(p),
            "datetime": lambda p: self._moment(),
            "choice": self._choice,
            "duration": self._duration,
            "quantity": lambda p: self._number(p, hinted=True),
            "number": lambda p: self._number(p, hinted=False) if p.needed else None,
            "code": self._code,
            "boolean": self._switch,
            "place": self._place,
            "person": self._person,
            "array": self._several,
            "left": lambda p: (
                phrases.leftover(self._rest, self._is_known) if p.needed else None
            ),
        }
        value = finders[kind](parameter)
        values = value if isinstance(value, list) else [value]
        if parameter.type == "array" and value:
            values = [value]
        fitting = [v for v in values if v not in (None, "") and parameter.fits(v)]
        if fitting:
            self.values[path] = fitting

    def _found(self, found: Found[Any] | None) -> Any:
        """Take what was found, so that nothing else takes it too."""
        if found is None:
            return None
        gap = TAKEN * (found.end - found.start)
        self._rest = self._rest[: found.start] + gap + self._rest[found.end :]
        return found.value

    def _is_known(self, word: str) -> bool:
        stemmed = stem(word)
        known = self._about | self._own
        return stemmed in known or sense(stemmed) in known

    def _sum(self) -> str | None:
        found = expression(self._text.lower())
        return None if found is None or "%" in found else found

    def _date(self) -> str | None:
        day = self._found(find_date(self._rest, self._now.date()))
        return day.isoformat() if day else None

    def _time(self, parameter: Parameter) -> str | None:
        at = self._found(find_time(self._rest))
        exact = parameter.schema.get("format") == "time"
        return at.isoformat("seconds" if exact else "minutes") if at else None

    def _moment(self) -> str | None:
        day = find_date(self._rest, self._now.date())
        at = find_time(self._rest)
        if at is None:
            return None
        moment = datetime.combine(day.value if day else self._now.date(), at.value)
        self._found(at)
        self._found(day)
        return moment.isoformat()

    def _choice(self, parameter: Parameter) -> list[Any]:
        spots = []
        for choice in parameter.choices:
            said = r"[ _-]*".join(map(re.escape, parts(str(choice)) or [str(choice)]))
            more = "" if isinstance(choice, int | float) else "(?:e?s|ing|ed)?"
            for match in re.finditer(rf"(?<!\w){said}{more}(?!\w)", self._rest, re.I):
                led = self._is_led(parameter, match.start())
                spots.append((not led, match.start(), -match.end(), choice))
        spots.sort(key=lambda spot: spot[:3])
        chosen, end = [], None
        for _, start, minus_end, choice in spots:
            between = self._rest[end:start] if end is not None else "and"
            if re.fullmatch(
                r"\W*(?:and|,)?[\w ]{0,24}?(?:\band\b)?\W*(?:the )?", between
            ) and (end is None or re.search(r",|\band\b", between)):
                chosen.append(choice)
                end = -minus_end
                self._rest = (
                    self._rest[:start] + TAKEN * (end - start) + self._rest[end:]
                )
        return list(dict.fromkeys(chosen))

    def _is_led(self, parameter: Parameter, start: int) -> bool:
        """Whether the word that leads to a place is the one for this parameter."""
        before = self._rest[:start].lower().split()[-1:]
        return bool(before) and before[0] in leading(parameter).split("|")

    def _duration(self, parameter: Parameter) -> Any:
        found = find_durations(self._rest)
        if parameter.type == "string":
            if not found:
                return None
            start, end = found[0].start, found[-1].end
            said = self._rest[start:end]
            for one in found:
                self._found(one)
            return said
        unit = unit_of(parameter)
        others = self._units - {unit}
        taken = [one for one in found if one.value[1] not in others]
        if not taken:
            return self._number(parameter, hinted=True)
        seconds = sum(
            SECONDS[of] * amount for amount, of in map(lambda o: o.value, taken)
        )
        for one in taken:
            self._found(one)
        return as_number(parameter, seconds / SECONDS[unit or "second"])

    def _number(self, parameter: Parameter, *, hinted: bool) -> int | float | None:
        text = re.sub(r"(?<=\d),(?=\d{3}\b)", "\x01", self._rest)
        for match in (
            _NUMBER.finditer(text.replace("\x01", ""))
            if "\x01" in text
            else (_NUMBER.finditer(text))
        ):
            start, end = match.span()
            near = [*words(text[:start])[-2:], *words(text[end:])[:2]]
            if hinted and not any(map(self._is_own, near)):
                continue
            number = float(match[0].replace("minus ", "-"))
            percent = re.match(r" ?(?:%|per ?cent)", text[end:])
            if percent and parameter.limits[1] <= 1:
                number /= 100
            self._rest = text.replace("\x01", "")
            self._rest = self._rest[:start] + TAKEN * (end - start) + self._rest[end:]
            return as_number(parameter, number)
        return None

    def _is_own(self, word: str) -> bool:
        own = {sense(one) for one in self._own}
        return stem(word) in self._own or sense(stem(word)) in own

    def _code(self, parameter: Parameter) -> Any:
        found = list(phrases.codes(self._rest))
        hinted = [
            code
            for code in found
            if any(map(self._is_own, words(self._rest[: code.start])[-3:]))
        ]
        code = self._found(next(iter(hinted or found), None))
        if parameter.type == "string" or code is None:
            return code
        return int(code) if code.isdecimal() else None

    def _switch(self, parameter: Parameter) -> bool | None:
        said = [word.lower() for word in words(self._rest)]
        for yes, no in _OPPOSITES:
            if {stem(yes), stem(no)} & self._own or self._own & _SWITCHES:
                stems = list(map(stem, said))
                positive = {stem(no), stem(yes)} & self._own != {stem(no)}
                if stem(no) in stems:
                    return not positive
                if stem(yes) in stems:
                    return positive
        own = [stem(part) for part in parts(parameter.name)]
        stems = list(map(stem, said))
        for at in range(len(stems)):
            if stems[at : at + len(own)] == own:
                before = {*said[max(at - 2, 0) : at]}
                return not before & {"no", "not", "without", "don't", "non"}
        return None

    def _place(self, parameter: Parameter) -> list[str] | None:
        before = leading(parameter) or _PLACES
        names = phrases.named(
            self._rest, before, self._is_known, anywhere=parameter.needed
        )
        if names:
            return list(self._found(names))
        said = self._found(phrases.loose(self._rest, before, self._is_known))
        if said is None:
            return None
        proper = {"city", "country", "town", "airport", "location"} & set(
            parts(parameter.name)
        )
        return [said.title() if proper else said]

    def _person(self, parameter: Parameter) -> str | None:
        if address := self._found(phrases.email(self._rest)):
            return str(address)
        before = _PEOPLE
        names = phrases.named(
            self._rest, before, self._is_known, anywhere=parameter.needed
        )
        if names:
            return " and ".join(self._found(names))
        before = "named|called|name is|name's|for|to|by|with|under"
        said = self._found(phrases.loose(self._rest, before, self._is_known))
        return said.title() if said else None

    def _several(self, parameter: Parameter) -> list[Any] | None:
        item = parameter.item
        if item is None:
            return None
        if item.inner:
            reading = Reading(self._rest, item.inner, self._now, self._about)
            values, missing = build(item.inner, reading.values)
            return [values] if reading.values and not missing else None
        if item.choices:
            return self._choice(item)
        if item.type in ("integer", "number"):
            numbers = [float(n) for n in _NUMBER.findall(self._rest)]
            return [as_number(item, n) for n in numbers if item.fits(n)]
        kind = kind_of(parameter.__class__(parameter.name, "string"))
        if kind in ("place", "person"):
            before = _PLACES if kind == "place" else _PEOPLE
            found = phrases.named(self._rest, before, self._is_known, anywhere=True)
            if found:
                return list(self._found(found))
        return phrases.leftover(self._rest, self._is_known, several=True)


def answer(parameter: Parameter, text: str, now: datetime) -> Any:
    """What a text says that only answers the question for a parameter."""
    if phrases.is_question(text):
        return None
    said, numbers = phrases.bare(text), phrases.bare(digits(text))
    kind = kind_of(parameter)
    value: Any = said
    if parameter.type == "boolean":
        value = True if _YES.match(said) else False if _NO.match(said) else None
    elif parameter.type in ("integer", "number"):
        found = _NUMBER.findall(numbers)
        value = as_number(parameter, float(found[0])) if found else None
    elif parameter.type == "array":
        value = phrases.listed(said)
    elif kind == "time":
        at = find_time(numbers, bare=True)
        value = at.value.isoformat("minutes") if at else None
    elif kind in ("date", "datetime", "email", "url", "choice", "phone"):
        value = None
    elif kind == "code":
        value = re.sub(r"\s", "", numbers)
    elif kind in ("place", "person") and said.islower():
        value = said.title()
    return value if value not in (None, "") and parameter.fits(value) else None


def leaves(
    parameters: Sequence[Parameter], above: Path = ()
) -> Iterator[tuple[Path, Parameter]]:
    """All parameters that are no objects, with the names that lead to them."""
    for parameter in parameters:
        path = (*above, parameter.name)
        if parameter.inner:
            yield from leaves(parameter.inner, path)
        elif parameter.type not in ("object", "null"):
            yield path, parameter
