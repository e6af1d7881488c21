"""The built-in responder: a few things done exactly, and no pretending beyond them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from offhook.protocol.prompt import ToolCall, Turn
from offhook.speech.numerals import digits
from offhook.speech.sentences import split
from offhook.speech.sums import solve
from offhook.speech.tools.choice import Tools
from offhook.speech.tools.outputs import Returned, returned
from offhook.speech.units import convert

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from offhook.protocol.prompt import Prompt

# How much of a turn is read: two minutes of speech. All calls share one event loop, and
# the rules take their time with long texts.
_READ = 2000

_GREETING = "Hello! How can I help?"
_NOT_HEARD = "Sorry, I didn't catch that."
_WAITING = "I am still waiting for an answer."
_AT_SERVICE = "How can I help?"
_REAL_MODEL = "Set OPENAI_API_KEY to talk to the real model."
_HELP = (
    "I am Offhook's built-in stand-in, and I work offline. I can tell the time and the "
    "date, do sums, convert units, count, spell, flip a coin, roll dice, and repeat "
    f"what you say. {_REAL_MODEL}"
)

_POLITE = (
    r"(?:(?:hey|hi|hello|ok|okay|so|um|uh|well|now|please|then|and|"
    r"(?:can|could|would|will) you|i (?:want|would like) you to)\b[\s,.!]*)*"
)
_CONTRACTIONS = re.compile(r"\b(what|that|it|who|how|name)'s\b|\bi'(m)\b")

# What is asked and answered in fixed words; all of the text must match.
_PHRASES = [
    (re.compile(pattern), answer)
    for pattern, answer in (
        (
            r"(?:hello|hi|hey|greetings|good (?:morning|afternoon|evening))"
            r"(?: (?:there|again|hello|everybody|computer|offhook))*",
            _GREETING,
        ),
        (
            r".*\bhow are you(?: doing)?(?: today)?",
            "I am well, thank you. How can I help?",
        ),
        (
            r"(?:ok |okay |well )*(?:good[ -]?bye?|bye|bye[ -]bye|farewell|"
            r"good night|see you.*|(?:thanks|thank you).* (?:good[ -]?)?bye?)"
            r"(?: now| then| for now)?",
            "Goodbye!",
        ),
        (
            r"(?:ok |okay |great |no )?(?:many )?(?:thanks|thank you|cheers)"
            r"(?: (?:a lot|very much|so much|for .*|that is all))?",
            "You are welcome.",
        ),
        (
            r"(?:please )?(?:stop|cancel|never ?mind|be quiet)(?: it| that)?",
            "All right.",
        ),
        (
            r".*\bhelp(?: me)?|.*\bwhat (?:else )?can you do(?: for me)?|"
            r".*\b(?:who|what) are you|.*\bare you (?:a |an )?"
            r"(?:robot|human|person|machine|computer|ai|a i|real)(?: person)?",
            _HELP,
        ),
    )
]
_TIME = re.compile(
    r"\btime is it\b|"
    r"\b(?:the|current|local) time(?: is it)?(?: right| now| please)*$|"
    r"^(?:what )?time(?: please)?$|\bwhat time\b.*\b(?:now|here)$"
)
_DATE = re.compile(
    r"^(?=.*\b(?:what|which|tell|know|give|today's|current)\b)"
    r".*\b(?:day|date|weekday|month|year|today|tomorrow|yesterday)"
    r"(?: of the week)?"
    r"(?: is| it| today| tomorrow| was| yesterday| right| now| please)*$"
)
_REPEAT = re.compile(
    rf"^{_POLITE}(?:repeat(?: after me| this| the words?)?|say)\b[\s,:;.…-]*(.+)$", re.I
)
_AGAIN = re.compile(
    r"\b(?:repeat|say) (?:that|it|this|yourself)\b(?: again| please)*$|"
    r"\bwhat did you (?:just )?say\b|^(?:pardon|come again|repeat)(?: me)?(?: please)?$"
)
_SPELL = re.compile(
    rf"^{_POLITE}(?:how (?:do|would|can|should) (?:you|i|we) spell|"
    r"what is the spelling of|spell(?: out)?|tell me how to spell)\b"
    r"(?: the words?)?[\s,:]*(.+)$",
    re.I,
)
_COUNT = re.compile(
    r"\bcount(?: up| down| backwards?)?(?: from (?P<first>\d+))?"
    r"(?:(?: up| down)? (?:to|till|until) (?P<last>\d+))?"
)
_COIN = re.compile(r"\b(?:flip|toss|throw)\b.*\bcoin\b|\bheads or tails\b")
_DICE = re.compile(r"\b(?:roll|throw)\b.*?\b(?:(?P<dice>\d+) )?(?:dice|die)\b")
_MINE = re.compile(
    r"\bwhat (?:did i|have i) (?:just )?(?:say|said)\b|"
    r"\bwhat was (?:the last thing i said|my last (?:sentence|question))\b"
)
_WHO_AM_I = re.compile(r"\bwhat is my name\b|\bwho am i\b|\bknow my name\b")
_MY_NAME = re.compile(
    r"\b(?:my name is|my name's|call me|i am called)\s+([^\W\d_][\w'-]*)", re.I
)


@dataclass(frozen=True)
class _Heard:
    """What the caller said.

    Attributes:
        text: In the caller's own words.
        plain: In lower case, with digits, without punctuation around the words.
        before: The turns before.
    """

    text: str
    plain: str
    before: tuple[Turn, ...]


_Skills = tuple[Callable[[_Heard], str | None], ...]


class Skills:
    """Answers from rules: at once, offline, and the same every time."""

    name = "built-in skills"

    def __init__(
        self,
        now: Callable[[], datetime] = datetime.now,
        chance: random.Random | None = None,
    ) -> None:
        self._now = now
        self._chance = chance or random.Random()
        self._talk: _Skills = (_say_again, _repeat, _spell, _phrase)
        self._work: _Skills = (
            lambda heard: solve(heard.plain),
            lambda heard: convert(heard.plain),
            self._time,
            self._date,
            _count,
            self._coin,
            self._dice,
        )
        self._skills: _Skills = (*self._talk, _introduce, _recall, *self._work)

    async def reply(self, prompt: Prompt) -> AsyncGenerator[str | ToolCall]:
        """See Responder."""
        for part in self._parts(prompt):
            if isinstance(part, ToolCall):
                yield part
                continue
            for sentence in split(part):
                yield sentence

    def _parts(self, prompt: Prompt) -> Iterator[str | ToolCall]:
        prompt = _clipped(prompt)
        back = returned(prompt.turns)
        yield from back.said
        if back.called and not prompt.must_call:
            fresh = [tool for tool in prompt.tools if tool.name not in back.called]
            yield from self._after(back, replace(prompt, tools=tuple(fresh)))
            return
        heard = _heard(prompt)
        talk = heard and not prompt.must_call and _first(self._talk, heard)
        used = list(self._use(prompt)) if prompt.tools and not talk else []
        yield from used or [self.answer(prompt)]

    def _after(self, back: Returned, prompt: Prompt) -> Iterator[str | ToolCall]:
        """Let the agent who took over do at once what the caller asked for."""
        if back.handoff:
            yield from list(self._use(prompt)) or [_AT_SERVICE]
        elif not back.said:
            yield _WAITING if back.waits else _AT_SERVICE

    def _use(self, prompt: Prompt) -> Iterator[str | ToolCall]:
        if not prompt.tools:
            return
        tools = Tools(
            prompt,
            lambda text: _first(self._work, _Heard(text, _plain(text), ())),
            self._now(),
        )
        yield from tools.use()

    def answer(self, prompt: Prompt) -> str:
        """Answer the last turn of the user in one piece."""
        heard = _heard(prompt)
        if heard is None:
            return _GREETING
        if not heard.plain:
            return _NOT_HEARD
        return _first(self._skills, heard) or _stand_in(heard.text)

    def _time(self, heard: _Heard) -> str | None:
        if not _TIME.search(heard.plain):
            return None
        now = self._now()
        half = "AM" if now.hour < 12 else "PM"
        return f"It is {now.hour % 12 or 12}:{now.minute:02} {half}."

    def _date(self, heard: _Heard) -> str | None:
        if not _DATE.search(heard.plain):
            return None
        for word, days, verb in (("tomorrow", 1, "is"), ("yesterday", -1, "was")):
            if word in heard.plain:
                return f"{word.title()} {verb} {_day(self._now(), days)}."
        return f"Today is {_day(self._now(), 0)}."

    def _coin(self, heard: _Heard) -> str | None:
        if not _COIN.search(heard.plain):
            return None
        return f"It is {self._chance.choice(('heads', 'tails'))}."

    def _dice(self, heard: _Heard) -> str | None:
        found = _DICE.search(heard.plain)
        if not found:
            return None
        dice = int(found["dice"] or (1 if "dice" not in found[0] else 2))
        if not 1 <= dice <= 6:
            return "I have six dice only."
        return f"I rolled {_listed([self._chance.randint(1, 6) for _ in range(dice)])}."


def _heard(prompt: Prompt) -> _Heard | None:
    turns = tuple(turn for turn in prompt.turns if isinstance(turn, Turn))
    last = max(
        (at for at, turn in enumerate(turns) if turn.role == "user"),
        default=None,
    )
    if last is None:
        return None
    text = turns[last].text.strip()
    return _Heard(text, _plain(text), turns[:last])


def _first(skills: _Skills, heard: _Heard) -> str | None:
    return next(filter(None, (skill(heard) for skill in skills)), None)


def _plain(text: str) -> str:
    text = text.lower().replace("\u2019", "'")
    text = _CONTRACTIONS.sub(lambda m: f"{m[1]} is" if m[1] else "i am", text)
    text = re.sub(r"[\"“”?!;:…]|[.,](?!\d)", " ", digits(text))
    return " ".join(text.split())


def _stand_in(text: str) -> str:
    heard = text if text[-1] in ".!?" else f"{text}."
    return f"I am a small offline stand-in. I heard: {heard} {_REAL_MODEL}"


def _phrase(heard: _Heard) -> str | None:
    found = (answer for wanted, answer in _PHRASES if wanted.fullmatch(heard.plain))
    return next(found, None)


def _say_again(heard: _Heard) -> str | None:
    if not _AGAIN.search(heard.plain):
        return None
    said = [turn.text for turn in heard.before if turn.role == "assistant"]
    return said[-1] if said else "I have not said anything yet."


def _repeat(heard: _Heard) -> str | None:
    found = _REPEAT.search(heard.text)
    return _sentence(found[1]) if found else None


def _spell(heard: _Heard) -> str | None:
    found = _SPELL.search(heard.text)
    words = re.findall(r"[^\W\d_]+", found[1]) if found else []
    if words[1:] and words[-1] == "please":
        words.pop()
    if not words or len(words) > 3:
        return None
    return " ".join(
        f"{word.capitalize()}: {', '.join(word.upper())}." for word in words
    )


def _introduce(heard: _Heard) -> str | None:
    name = _MY_NAME.search(heard.text)
    return f"Nice to meet you, {name[1].capitalize()}." if name else None


def _recall(heard: _Heard) -> str | None:
    said = [turn.text for turn in heard.before if turn.role == "user"]
    if _WHO_AM_I.search(heard.plain):
        names = [found[1] for text in said if (found := _MY_NAME.search(text))]
        known = f"Your name is {names[-1].capitalize()}." if names else None
        return known or "You have not told me your name."
    if _MINE.search(heard.plain):
        return f"You said: {_sentence(said[-1])}" if said else "Nothing before that."
    return None


def _count(heard: _Heard) -> str | None:
    found = _COUNT.search(heard.plain)
    if not found or not (found["first"] or found["last"]):
        return None
    down = re.search(r"\bcount (?:down|backward)", heard.plain) is not None
    first = int(found["first"] or (10 if down else 1))
    last = int(found["last"] or (1 if down else first + 9))
    if abs(last - first) >= 50:
        return "That takes too long. I count fifty numbers at most."
    step = 1 if last >= first else -1
    return ", ".join(str(number) for number in range(first, last + step, step)) + "."


def _day(now: datetime, later: int) -> str:
    day = now + timedelta(days=later)
    return f"{day:%A}, {day:%B} {day.day}, {day.year}"


def _listed(numbers: list[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}" if most else f"a {last}"


def _sentence(text: str) -> str:
    text = text.strip()
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def _clipped(prompt: Prompt) -> Prompt:
    turns = (
        replace(turn, text=turn.text[:_READ]) if isinstance(turn, Turn) else turn
        for turn in prompt.turns
    )
    return replace(prompt, turns=tuple(turns))
