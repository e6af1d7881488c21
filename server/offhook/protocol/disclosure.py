"""What may be told of what an upstream says of a failure.

It may quote anything of the session there, instructions and tools too. So a caller gets
none of its words, but what is known or ours. The log gets them, if none is a session's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from offhook.errors import redact
from offhook.protocol.permitted import CHANGEABLE, CLIENT, CONTENT, MESSAGE, OVERRIDES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offhook.events import Event
    from offhook.protocol.shapes import Shape

_MOST_LOGGED = 300
# So many letters and digits in a row are no coincidence.
_RUN = 12

_UNSAID = "The upstream failed, or refused this: the server's log has its words."
_NO_ITEM = "There is no such item in the conversation."
_OUT_OF_RANGE = "A value is too small, too large or too long."
# What the codes mean, for callers.
_MEANINGS = {
    "array_above_max_length": _OUT_OF_RANGE,
    "audio_unintelligible": "The speech could not be understood.",
    "cannot_update_voice": "The voice cannot be changed once it has been heard.",
    "content_filter": "The answer was held back.",
    "conversation_already_has_active_response": (
        "An answer is in progress: ask for the next one when it is done."
    ),
    "decimal_above_max_value": _OUT_OF_RANGE,
    "decimal_below_min_value": _OUT_OF_RANGE,
    "input_audio_buffer_commit_empty": (
        "There is too little audio to commit: send at least 100 ms."
    ),
    "insufficient_quota": "The account of the server has no credit left.",
    "integer_above_max_value": _OUT_OF_RANGE,
    "integer_below_min_value": _OUT_OF_RANGE,
    "invalid_event": "The upstream does not know this event.",
    "invalid_json": "The upstream does not take this for JSON.",
    "invalid_type": "A field is of another type than it should be.",
    "invalid_value": "A field has a value that the upstream does not take.",
    "item_create_duplicate_id": "There is an item of this id already.",
    "item_create_invalid_previous_item_id": _NO_ITEM,
    "item_delete_invalid_item_id": _NO_ITEM,
    "item_retrieve_invalid_item_id": _NO_ITEM,
    "item_truncate_invalid_item_id": _NO_ITEM,
    "missing_required_parameter": "A field is missing.",
    "model_not_found": "The upstream does not have the server's model.",
    "rate_limit_exceeded": "The upstream has too many requests: try again later.",
    "response_cancel_not_active": "There was no answer to cancel.",
    "server_error": "The upstream failed: try again later.",
    "session_expired": "The session has lasted as long as it may.",
    "string_above_max_length": _OUT_OF_RANGE,
    "unknown_parameter": "The upstream does not know a field of this event.",
    "unsupported_content_type": "This cannot be done with such content.",
    "upstream_failed": "What answers for the upstream failed: try again later.",
}
_TYPES = (
    "authentication_error",
    "insufficient_quota",
    "invalid_request_error",
    "rate_limit_error",
    "server_error",
    "transcription_error",
)
_OUTCOMES = ("completed", "cancelled", "failed", "incomplete")
_REASONS = ("turn_detected", "client_cancelled", "max_output_tokens", "content_filter")
# An id has no spaces, as texts have.
_ID = re.compile(r"[!-~]{1,512}")


def _fields(*shapes: Shape) -> set[str]:
    names = {name for shape in shapes for name in shape}
    inner = [
        part for shape in shapes for part in shape.values() if isinstance(part, dict)
    ]
    return names | _fields(*inner) if inner else names


# Of callers' events: an error about any other field is not about them.
_FIELDS = _fields(*CLIENT.values(), CHANGEABLE, CONTENT, MESSAGE, OVERRIDES) | {
    "type",
    "event_id",
}


def told(error: Any) -> Event:
    """Say to a caller what it may know of an error object."""
    given = error if isinstance(error, dict) else {}
    code, event_id = given.get("code"), given.get("event_id")
    meaning = _MEANINGS.get(code) if isinstance(code, str) else None
    return {
        "type": _one_of(_TYPES, given.get("type")) or "server_error",
        "code": code if meaning else None,
        "message": meaning or _UNSAID,
        "param": _own_path(given.get("param")),
        "event_id": event_id if _is_id(event_id) else None,
    }


def outcome(details: Any) -> Event | None:
    """Say to a caller how a response ended, of its `status_details`."""
    if not isinstance(details, dict):
        return None
    shown: Event = {"type": _one_of(_OUTCOMES, details.get("type"))}
    if details.get("reason") is not None:
        shown["reason"] = _one_of(_REASONS, details["reason"])
    if details.get("error") is not None:
        error = told(details["error"])
        shown["error"] = {key: error[key] for key in ("type", "code", "message")}
    return shown


def logged(text: str, session: Mapping[str, Any], *keys: str) -> str:
    """Say to the log what an upstream said, if nothing of the session is in it."""
    # Redacted first: a cut could leave half a key that no pattern finds.
    text = redact(text, *keys)[:_MOST_LOGGED]
    if _quotes(text, str(session.get("instructions") or "")):
        return "(its words quote the instructions)"
    return text


def _quotes(text: str, secret: str) -> bool:
    said, hidden = _letters(text), _letters(secret)
    run = min(_RUN, len(hidden))
    return run > 0 and any(
        said[at : at + run] in hidden for at in range(len(said) - run + 1)
    )


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _one_of(known: tuple[str, ...], value: Any) -> str | None:
    return value if value in known else None


def _own_path(param: Any) -> str | None:
    if not isinstance(param, str):
        return None
    names = filter(None, re.split(r"[.\[\]]", param))
    mine = all(name in _FIELDS or re.fullmatch("[0-9]{1,4}", name) for name in names)
    return param[:128] if mine else None


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None
