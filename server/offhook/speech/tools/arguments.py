"""The arguments of a call, made of what was found, and what they lack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offhook.speech.tools.kinds import TEXTS, kind_of
from offhook.speech.tools.schemas import least
from offhook.speech.tools.words import STOP, parts, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from offhook.speech.tools.schemas import Parameter

_LABELS = {"datetime": "date and time", "left": "one", "search": "words"}
Path = tuple[str, ...]
Values = dict[Path, list[Any]]
"""What was found for each parameter; several values ask for as many calls."""


@dataclass(frozen=True)
class Missing:
    """A parameter that a call cannot do without."""

    path: Path
    parameter: Parameter

    @property
    def question(self) -> str:
        """How to ask for it."""
        parameter = self.parameter
        kind = kind_of(parameter)
        label = " ".join(parts(parameter.name))
        if label in STOP or len(label) < 3:
            said = " ".join(words(parameter.description)[:6]).lower()
            label = said.removeprefix("the ") or _LABELS.get(kind, kind)
        low, high = parameter.limits
        if parameter.type == "boolean":
            label = " ".join(parts(parameter.name))
            return f"{label.capitalize()}, yes or no?"
        if 1 < len(parameter.choices) <= 6:
            *most, last = (_readable(choice) for choice in parameter.choices)
            return f"Which {label}: {', '.join(most)} or {last}?"
        if low > -1e9 and high < 1e9:
            return f"Which {label}, from {low:g} to {high:g}?"
        if kind in TEXTS:
            return f"What should the {label} be?"
        return f"Which {label}?"


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


def build(
    parameters: Sequence[Parameter],
    found: Values,
    *,
    force: bool = False,
    above: Path = (),
) -> tuple[dict[str, Any], list[Missing]]:
    """The arguments, and what they lack.

    Args:
        parameters: What the tool takes.
        found: What the caller said; of several values the first is taken.
        force: Whether to fill in what is missing.
        above: The names that lead to these parameters.
    """
    values: dict[str, Any] = {}
    missing: list[Missing] = []
    for parameter in parameters:
        path = (*above, parameter.name)
        if path in found:
            values[parameter.name] = found[path][0]
            continue
        said = any(known[: len(path)] == path for known in found)
        if parameter.inner and (said or parameter.required):
            inner, lacking = build(parameter.inner, found, force=force, above=path)
            if not lacking and (said or not parameter.nullable):
                values[parameter.name] = inner
                continue
            if parameter.required and not parameter.nullable:
                missing += lacking
                continue
        if not parameter.required:
            continue
        if force or not parameter.needed or parameter.type == "object":
            values[parameter.name] = least(parameter)
        else:
            missing.append(Missing(path, parameter))
    return values, missing


def _readable(choice: Any) -> str:
    return " ".join(parts(choice)) if isinstance(choice, str) else str(choice)
