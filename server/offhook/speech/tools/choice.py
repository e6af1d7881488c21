"""Chooses tools by the words of their schemas, and asks for what a call lacks."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from offhook.protocol.prompt import ToolCall, Turn
from offhook.speech.tools import schemas
from offhook.speech.tools.arguments import Missing, Values, build, leaves
from offhook.speech.tools.kinds import TEXTS, kind_of
from offhook.speech.tools.phrases import VERBS, is_question, saying
from offhook.speech.tools.reading import Reading, answer
from offhook.speech.tools.words import STOP, parts, senses, stem, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from offhook.protocol.prompt import Prompt, Tool, ToolOutput

_ENOUGH = 2.4
"""How much has to speak for a tool: a word of its name, or several others."""

_NAME, _SYNONYM, _VALUE, _VERB, _OTHER, _HINT = 3.0, 2.4, 2.0, 1.5, 1.0, 0.5
_READ = 400
"""How much of a description is read; what it begins with says the most."""

# Said of any tool; alone in a name they are all that it has.
_GENERIC = frozenset(
    map(
        stem,
        """get set fetch list look lookup check make run use show tell give handle query
        ask answer transfer to agent tool function data info information detail up by
        for of the in on a from with and status current my do new user""".split(),
    )
)
# These stand alone for the tool: what they do, they do to anything.
_FREE_VERBS = frozenset(
    map(stem, "search find play translate calculate call order schedule".split())
)
_PIECE = re.compile(
    r"(?:[.?!;]+|,)\s+(?:and then|and also|and|then|also)?\b|"
    r"\s+(?:and then|and|then)\s+",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(r"^\W*(?:please )?(?:don't|do not|never)\b", re.IGNORECASE)
# What somebody tells of, and asks nothing: "I left the light on yesterday."
_TOLD = re.compile(
    r"^\W*(?:i|we|he|she|they)\s+(?:left|was|were|had|did|went|got|took|made|saw|forgot|"
    r"(?!(?:need|needed|wanted|hoped)\b)\w+ed)\b(?!.*\?)",
    re.IGNORECASE,
)
_ALSO = re.compile(r"\W*(?:and|or|then|what about|how about)\b", re.IGNORECASE)
_QUESTIONS = 8
"""How many questions in a row may serve one call."""


@dataclass(frozen=True)
class _Request:
    """What a caller wants of a tool."""

    ability: _Ability
    text: str
    found: Values


class _Ability:
    """A tool, and the words that ask for it."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.parameters = schemas.read(tool.parameters)
        named = [stem(part) for part in parts(tool.name)]
        special = [word for word in named if word not in _GENERIC] or named
        self.special = frozenset(special)
        self.about = self.special.union(*map(senses, special))
        kinds = {kind_of(leaf) for _, leaf in leaves(self.parameters)}
        self.writes = "message" in kinds
        self.answers = kinds == {"whole"}
        self.weights: dict[str, float] = {}
        for word in named:
            self._weigh(word, _HINT)
        self._describe(tool.description, _OTHER)
        self._learn(self.parameters)
        for word in special:
            is_verb = word in VERBS - _FREE_VERBS and len(special) > 1
            for alike in () if is_verb else senses(word):
                self._weigh(alike, _SYNONYM)
            self._weigh(word, _VERB if is_verb else _NAME)

    def _weigh(self, word: str, weight: float) -> None:
        self.weights[word] = max(self.weights.get(word, 0), weight)

    def _describe(self, text: str, weight: float) -> None:
        for word in words(text[:_READ]):
            if word.lower() not in STOP and (stemmed := stem(word)) not in _GENERIC:
                self._weigh(stemmed, weight)

    def _learn(self, parameters: Sequence[schemas.Parameter]) -> None:
        for parameter in parameters:
            self._describe(" ".join(parts(parameter.name)), _OTHER)
            self._describe(parameter.description, _HINT)
            item = parameter.item or parameter
            for choice in item.choices:
                for part in parts(str(choice)):
                    if part not in STOP and not part.isdigit():
                        self._weigh(stem(part), _VALUE)
            self._learn(item.inner)


@dataclass(frozen=True)
class _Match:
    """How well a text asks for a tool."""

    ability: _Ability
    weight: float = 0.0
    rank: tuple[float, float] = (0.0, 0.0)
    named: bool = False

    @property
    def enough(self) -> bool:
        """Whether the tool is meant at all."""
        return self.weight >= _ENOUGH


class Tools:
    """The tools of a prompt, for one answer.

    Args:
        prompt: What to answer.
        skill: Answers what needs no tool, if a text asks for that.
        now: What "today" refers to.
    """

    def __init__(
        self, prompt: Prompt, skill: Callable[[str], str | None], now: datetime
    ) -> None:
        self._abilities = [_Ability(tool) for tool in prompt.tools]
        self._prompt = prompt
        self._skill = skill
        self._now = now

    def use(self) -> Iterator[str | ToolCall]:
        """Call what the caller asks for, or ask for what is missing; or do nothing."""
        force = self._prompt.must_call
        texts, asked = _thread(self._prompt.turns)
        steps: list[str | _Request] = [*self._resumed(texts, asked)]
        steps = steps or [*self._steps(texts[-1])] or [*self._repeated(texts[-1])]
        if force and not any(isinstance(step, _Request) for step in steps):
            steps.append(self._request(self._best(texts[-1]).ability, texts[-1]))
        said = [step for step in steps if isinstance(step, str)]
        calls: list[ToolCall] = []
        questions: list[str] = []
        for request in (step for step in steps if isinstance(step, _Request)):
            for arguments, missing in _calls(request, force=force):
                if missing:
                    questions.append(missing[0].question)
                else:
                    call = ToolCall(request.ability.tool.name, json.dumps(arguments))
                    calls.append(call)
        # Words go first: whoever runs a tool may want the next response at once.
        yield from said + questions[:1]
        yield from calls if self._prompt.parallel else calls[:1]

    def _request(self, ability: _Ability, text: str, *, guess: bool = True) -> _Request:
        reading = Reading(
            text, ability.parameters, self._now, ability.about, guess=guess
        )
        return _Request(ability, text, reading.values)

    def _best(self, text: str) -> _Match:
        said: dict[str, int] = {}
        for at, word in enumerate(words(text)):
            if word.lower() not in STOP:
                said.setdefault(stem(word), at)
        if _FORBIDDEN.match(text) or _TOLD.match(text):
            said = {}
        return max(
            (_match(ability, said) for ability in self._abilities),
            key=lambda match: match.rank,
        )

    def _steps(self, text: str) -> Iterator[str | _Request]:
        """What a text asks for, in its order: answers of skills, and calls."""
        last: _Request | None = None
        spoke = False
        for clause in self._clauses(text):
            match = self._best(clause)
            request = self._request(match.ability, clause) if match.enough else None
            complete = request and not _lacks(request)
            said = None if match.named and complete else self._skill(clause)
            if said:
                spoke = True
                yield said
            elif request:
                if last and last.ability is request.ability:
                    if not last.found.keys() & request.found.keys():
                        last = replace(last, found=request.found | last.found)
                        continue
                    request = replace(request, found=last.found | request.found)
                if last:
                    yield last
                last = request
        if last:
            yield last
        elif not spoke and is_question(text) and not self._skill(text):
            # A tool that takes a question takes any that nobody else answers.
            asked = (ability for ability in self._abilities if ability.answers)
            yield from (self._request(ability, text) for ability in islice(asked, 1))

    def _repeated(self, text: str) -> Iterator[_Request]:
        """What "and in Rome?" asks of the tool that was called last."""
        calls = [turn for turn in self._prompt.turns if isinstance(turn, ToolCall)]
        if not calls or not _ALSO.match(text):
            return
        for ability in self._abilities:
            if ability.tool.name == calls[-1].name:
                request = self._request(ability, text, guess=False)
                before = _arguments(ability, calls[-1])
                if request.found:
                    yield replace(request, found=before | request.found)

    def _clauses(self, text: str) -> list[str]:
        """Cut a text before whatever asks for something of its own."""
        cuts = [0]
        begins = [0, *(match.end() for match in _PIECE.finditer(text))]
        asks = writes = False
        for start, end in zip(begins, [*begins[1:], len(text)], strict=True):
            piece = text[start:end]
            match = self._best(piece)
            if match.named or self._skill(_PIECE.sub(" ", piece)):
                if asks and not (writes and saying(text[cuts[-1] : start])):
                    cuts.append(start)
                    writes = False
                asks = True
                writes |= match.enough and match.ability.writes
        return [text[a:b] for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)]

    def _resumed(self, texts: list[str], questions: list[str]) -> list[_Request]:
        """The call that our own questions were for, if the caller answered them."""
        waiting: _Request | None = None
        for text, question in zip(texts, [*questions, None], strict=True):
            taken = self._answered(waiting, text) if waiting else None
            if question is None:
                return [taken] if taken else []
            steps = [taken] if taken else self._steps(text)
            requests = [step for step in steps if isinstance(step, _Request)]
            waiting = next((r for r in requests if _asks(r, question)), None)
        return []

    def _answered(self, waiting: _Request, text: str) -> _Request | None:
        best = self._best(text)
        known = best.named and best.ability is waiting.ability
        changed = (best.named or is_question(text)) and not known
        missing = _lacks(waiting)
        if changed or not missing or self._skill(text):
            return None
        path, parameter = missing[0].path, missing[0].parameter
        found = self._request(waiting.ability, text).found
        said = answer(parameter, text)
        if said is not None and (
            path not in found or kind_of(parameter) in TEXTS | {"left"}
        ):
            found = found | {path: [said]}
        # What was no answer brings the same question again.
        asked = {path: found[path]} if path in found else {}
        return replace(waiting, found=found | waiting.found | asked)


def _match(ability: _Ability, said: dict[str, int]) -> _Match:
    weights = {word: ability.weights[word] for word in said if word in ability.weights}
    if not weights:
        return _Match(ability)
    weight = sum(weights.values())
    heard = frozenset(weights).union(*map(senses, weights))
    unheard = sum(
        0.25 if word in VERBS else 0.5 for word in ability.special if word not in heard
    )
    first = min(said[word] for word in weights)
    # What a sentence begins with, it is most likely about.
    leads = first == min(said.values())
    named = max(weights.values()) >= _SYNONYM
    return _Match(ability, weight, (weight - unheard + leads, -first), named)


def _calls(
    request: _Request, *, force: bool
) -> Iterator[tuple[dict[str, Any], list[Missing]]]:
    """The arguments of each call that a request asks for, and what they lack."""
    several = next((p for p, values in request.found.items() if values[1:]), None)
    for value in request.found[several] if several else [None]:
        found = request.found | ({several: [value]} if several else {})
        yield build(request.ability.parameters, found, force=force)


def _arguments(ability: _Ability, call: ToolCall) -> Values:
    """What a call said, as far as it fits the tool."""
    try:
        values = json.loads(call.arguments)
    except ValueError:
        return {}
    return {
        path: [value]
        for path, leaf in leaves(ability.parameters)
        if isinstance(values, dict) and path[1:] == ()
        if schemas.is_type(value := values.get(path[0]), leaf.type) and leaf.fits(value)
    }


def _lacks(request: _Request) -> list[Missing]:
    return build(request.ability.parameters, request.found)[1]


def _asks(request: _Request, said: str) -> bool:
    missing = _lacks(request)
    return bool(missing) and missing[0].question in said


def _thread(
    turns: Sequence[Turn | ToolCall | ToolOutput],
) -> tuple[list[str], list[str]]:
    """What the user said last and, while we had asked, before; and our questions."""
    talk = [t for t in turns if isinstance(t, Turn) and t.role != "system"]
    while talk and talk[-1].role != "user":
        talk.pop()
    texts = [" ".join(turn.text.split()) for turn in talk[-1:]] or [""]
    questions: list[str] = []
    for role, run in groupby(reversed(talk[:-1]), key=lambda turn: turn.role):
        said = [" ".join(turn.text.split()) for turn in run]
        if role == "user":
            if len(texts) > len(questions):
                break
            texts.insert(0, said[0])
        elif not any("?" in text for text in said) or len(questions) == _QUESTIONS:
            break
        else:
            questions.insert(0, " ".join(reversed(said)))
    return texts, questions[-len(texts) + 1 :] if texts[1:] else []
