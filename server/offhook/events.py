"""The words of the wire: Realtime events and ids as JSON objects."""

from __future__ import annotations

import json
import secrets
import string
from typing import Any

from offhook.errors import InvalidRequest

Event = dict[str, Any]

_ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str) -> str:
    """Make an id in OpenAI's style, for example `item_` and 21 characters."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(21))


def parse(text: str | bytes) -> Event:
    """Read one event; unknown types and fields are kept as they are.

    Raises:
        InvalidRequest: Not JSON, not an object, or without a string `type`.
    """
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest(
            "The message is not valid JSON.", code="invalid_json"
        ) from None
    if not isinstance(event, dict):
        raise InvalidRequest("An event is a JSON object.", code="invalid_event")
    if not isinstance(event.get("type"), str):
        raise InvalidRequest("The 'type' field is missing.", code="invalid_event")
    return event


def serialise(event: Event) -> str:
    """Write one event as compact JSON."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False)
