"""The words of the wire: Realtime events and ids as JSON objects."""

from __future__ import annotations

import json
import math
import secrets
import string
from typing import Any

from offhook.errors import InvalidRequest

Event = dict[str, Any]

# JSON schemas of tools are the deepest thing that events carry.
_DEEPEST = 64
_ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str) -> str:
    """Make an id in OpenAI's style, for example `item_` and 21 characters."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(21))


def parse(text: str | bytes) -> Event:
    """Read one event; unknown types and fields are kept as they are.

    Raises:
        InvalidRequest: Not JSON, not an object, or too deep.
    """
    try:
        event = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        raise InvalidRequest(
            "The message is not valid JSON.", code="invalid_json"
        ) from None
    if not isinstance(event, dict):
        raise InvalidRequest("An event is a JSON object.", code="invalid_event")
    if _deeper(event, _DEEPEST):
        raise InvalidRequest(
            f"The event is nested more than {_DEEPEST} levels deep.",
            code="invalid_event",
        )
    return event


def serialise(event: Event) -> str:
    """Write one event as compact JSON, in ASCII.

    A client may send half a surrogate pair; escaped, it can go back as it came.
    """
    return json.dumps(event, separators=(",", ":"), allow_nan=False)


def _finite(literal: str) -> float:
    # Python reads NaN, Infinity and 1e999; JSON has none of them (RFC 8259 §6).
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(literal)
    return value


def _deeper(value: Any, levels: int) -> bool:
    """Whether a parsed value is nested deeper than that; never recurses further."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(item, levels - 1) for item in inner)
