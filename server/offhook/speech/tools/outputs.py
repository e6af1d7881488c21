"""Says what tools returned."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from offhook.protocol.prompt import ToolCall, ToolOutput, Turn
from offhook.speech.sentences import split
from offhook.speech.tools.words import parts

_Turns = Sequence[Turn | ToolCall | ToolOutput]

_LONGEST = 400
"""Characters of one output that are said: half a minute of speech."""

_UNITS = {
    "c": "degrees Celsius",
    "celsius": "degrees Celsius",
    "f": "degrees Fahrenheit",
    "fahrenheit": "degrees Fahrenheit",
    "km": "kilometers",
    "kmh": "kilometers per hour",
    "kph": "kilometers per hour",
    "mph": "miles per hour",
    "percent": "percent",
    "pct": "percent",
    "usd": "dollars",
    "eur": "euros",
    "minutes": "minutes",
    "seconds": "seconds",
}
_ITEMS = 5
_DEEPEST = 4
_WRAPPERS = frozenset(
    "result results output text message content response answer".split()
)


@dataclass(frozen=True)
class Returned:
    """What tools returned since anybody spoke.

    Attributes:
        said: It, in words.
        waits: Whether some of the tools have not returned yet.
        handoff: Whether another agent has taken over.
        called: The names of the tools that were called since the user spoke.
    """

    said: tuple[str, ...]
    waits: bool
    handoff: bool
    called: frozenset[str]


def returned(turns: _Turns) -> Returned:
    """Read the end of a conversation."""
    calls = {turn.call_id: turn for turn in turns if isinstance(turn, ToolCall)}
    users = [at for at, turn in enumerate(turns) if _is_user(turn)]
    since = turns[users[-1] :] if users else turns
    called = [turn for turn in since if isinstance(turn, ToolCall)]
    end = _end(turns)
    outputs = [*_missed(turns[: len(turns) - len(end)]), *_outputs(end)]
    answered = [calls[o.call_id] for o in outputs if o.call_id in calls]
    names = [call.name for call in (called or answered)]
    alike = len(set(names)) < len(names)
    agents = [_agent(output.output) for output in outputs]
    said = [
        f"{agent} here." if agent else _labelled(output, calls, alike=alike)
        for output, agent in zip(outputs, agents, strict=True)
    ]
    return Returned(
        tuple(said),
        waits=not outputs and any(isinstance(turn, ToolCall) for turn in end),
        handoff=any(agents),
        called=frozenset(call.name for call in called),
    )


def spoken(output: str) -> str:
    """An output in words: a text as it is, JSON as short sentences."""
    text = output.strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    said = " ".join(_value(value).split())
    if not said or said == "None":
        return "Done."
    return _shortened(_sentence(said))


def _end(turns: _Turns) -> _Turns:
    """What was called and returned since anybody spoke."""
    silent = takewhile(lambda turn: not isinstance(turn, Turn), reversed(turns))
    return list(silent)[::-1]


def _outputs(turns: _Turns) -> list[ToolOutput]:
    return [turn for turn in turns if isinstance(turn, ToolOutput)]


def _missed(turns: _Turns) -> list[ToolOutput]:
    """The outputs that came while an answer to those before them had begun.

    Agents SDKs send each output as soon as they have it, and ask for an answer to the
    first of them; then they stand before that answer, which does not speak of them.
    """
    answer = turns[-1] if turns else None
    if not isinstance(answer, Turn) or answer.role != "assistant":
        return []
    outputs, text, at = _outputs(_end(turns[:-1])), " ".join(answer.text.split()), 0
    for number, output in enumerate(outputs):
        words = spoken(output.output)
        if (found := text.find(words, at)) < 0:
            # Who said none of them has answered in words of their own.
            return outputs[number:] if number else []
        at = found + len(words)
    return []


def _is_user(turn: Turn | ToolCall | ToolOutput) -> bool:
    return isinstance(turn, Turn) and turn.role == "user"


def _labelled(output: ToolOutput, calls: dict[str, ToolCall], *, alike: bool) -> str:
    """An output, after what it is about if the same tool was called for others."""
    said = spoken(output.output)
    if not alike or output.call_id not in calls:
        return said
    try:
        arguments = json.loads(calls[output.call_id].arguments)
    except ValueError:
        return said
    values = arguments.values() if isinstance(arguments, dict) else ()
    label = next((v for v in values if isinstance(v, str) and len(v) < 40), "")
    return f"{_sentence(label)[:-1]}: {said}" if label else said


def _agent(output: str) -> str | None:
    """The agent that an output of an agents SDK hands over to."""
    try:
        value = json.loads(output)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and list(value) == ["assistant"]:
        return str(value["assistant"])
    return None


def _value(value: Any, depth: int = 0) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4f}".rstrip("0").rstrip(".")
        case dict():
            return _object(value, depth)
        case list():
            return _list(value, depth)
    return str(value).strip()


def _object(value: dict[str, Any], depth: int) -> str:
    said = {k: v for k, v in value.items() if v is not None and v != ""}
    if value.get("type") == "text" and isinstance(value.get("text"), str):
        return str(value["text"])
    if len(said) == 1 and (key := next(iter(said))).lower() in _WRAPPERS:
        return _value(said[key], depth)
    if depth >= _DEEPEST:
        return ""
    pairs = [_pair(key, _value(part, depth + 1)) for key, part in said.items()]
    if depth:
        return ", ".join(f"{label} {text}" for label, text in pairs if text)
    return " ".join(_sentence(f"{label}: {text}") for label, text in pairs if text)


def _pair(key: str, said: str) -> tuple[str, str]:
    """A label and a value, with the unit that is part of the key."""
    *label, last = parts(key) or [key]
    if label and said and last in _UNITS:
        return " ".join(label), f"{said} {_UNITS[last]}"
    return " ".join([*label, last]), said


def _list(value: list[Any], depth: int) -> str:
    if depth >= _DEEPEST:
        return ""
    items = [text for item in value[:_ITEMS] if (text := _value(item, depth + 1))]
    more = len(value) - _ITEMS
    if any(isinstance(item, dict | list) for item in value):
        joined = " ".join(map(_sentence, items))
        return joined + (f" And {more} more." if more > 0 else "")
    if more > 0:
        items.append(f"{more} more")
    if not items:
        return "nothing" if not value else ""
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?…:;" else ".")


def _shortened(text: str) -> str:
    """As many whole sentences as are pleasant to hear; that there is more is said."""
    if len(text) <= _LONGEST:
        return text
    kept = ""
    for sentence in split(text):
        if kept and len(kept) + len(sentence) > _LONGEST:
            break
        kept += f"{sentence} "
    return f"{kept}There is more."
