"""What happened in a call: one entry for each thing, on the call's timeline."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from offhook.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["turn", "tool", "interruption", "sound", "mark"]
Who = Literal["caller", "model", "server"]

# Of what somebody sent no more than this is kept, in characters.
MOST_TEXT = 64 * 1024
MOST_ID = 128
# Longer than any call: 11 days.
_LATEST_MS = 1e9


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes:
        kind: What it is: a turn of speech or text, a tool that ran, an interruption, a
            sound of the server's, or a mark.
        who: Whose it is.
        begins_ms: When it began, since the call did.
        ends_ms: When it ended, not before it began.
        text: What was said, as far as it was heard; of a tool its name.
        data: What else there is to know; values that JSON has.
    """

    kind: Kind
    who: Who
    begins_ms: int
    ends_ms: int
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Entry:
        """Read what `as_json` gave.

        Raises:
            InvalidRequest: It is something else.
        """
        match value:
            case {
                "kind": kind,
                "who": who,
                "begins_ms": int(begins),
                "ends_ms": int(ends),
                "text": str(text),
                "data": dict(data),
            } if kind in get_args(Kind) and who in get_args(Who) and begins <= ends:
                return cls(
                    cast("Kind", kind), cast("Who", who), begins, ends, text, data
                )
        raise InvalidRequest(
            "This is no entry of a journal: it has a kind, who, begins_ms, ends_ms, "
            "text and data.",
            code="invalid_entry",
        )


def entry(
    kind: Kind,
    who: Who,
    begins: float,
    ends: float,
    text: str = "",
    data: Mapping[str, Any] | None = None,
) -> Entry:
    """Make an entry of times as they were measured."""
    begins = max(0.0, begins)
    return Entry(
        kind, who, round(begins), round(max(begins, ends)), text[:MOST_TEXT], data or {}
    )


def milliseconds(value: Any) -> float | None:
    """Take a time that somebody sent, if it is one."""
    # A bool is an int in Python, but not in JSON.
    if type(value) not in (int, float) or math.isnan(value):
        return None
    return float(min(max(value, 0), _LATEST_MS))
