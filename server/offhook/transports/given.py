"""What a user gives to be sent: checked before anything is done with it.

A call that is refused here has had no effect, and the next one works.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest

if TYPE_CHECKING:
    from offhook.transports.base import ApiKey


def json_of(value: Any) -> str:
    """Write a value as JSON, with any mapping as an object.

    Raises:
        InvalidRequest: There is no JSON for it.
    """
    try:
        return json.dumps(value, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"What is sent has to be JSON: {error}.", code="invalid_value"
        ) from None


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """Return an object that was given.

    Raises:
        InvalidRequest: It is none.
    """
    if not isinstance(value, Mapping):
        raise _wrong(name, "a dict", value)
    return value


def message(content: Any) -> str | Sequence[Mapping[str, Any]]:
    """Return what a message says.

    Raises:
        InvalidRequest: It is neither a text nor content parts.
    """
    if isinstance(content, str) or _are_objects(content):
        kept: str | Sequence[Mapping[str, Any]] = content
        return kept
    raise _wrong("A message", "a text, or a list of content parts", content)


def history(items: Any) -> Sequence[Mapping[str, Any]]:
    """Return the items of a conversation.

    Raises:
        InvalidRequest: They are none, or one has no type or no content parts.
    """
    if not _are_objects(items):
        raise _wrong("A history", "a list of items", items)
    for item in items:
        if not isinstance(item.get("type"), str):
            raise InvalidRequest(
                "Every item of a history needs a 'type', for example 'message'.",
                code="missing_required_parameter",
                param="type",
            )
        if not _are_objects(item.get("content", [])):
            raise _wrong("An item's 'content'", "a list of parts", item["content"])
    kept: Sequence[Mapping[str, Any]] = items
    return kept


def text(value: Any, name: str) -> str:
    """Return a text that was given.

    Raises:
        InvalidRequest: It is none.
    """
    if not isinstance(value, str):
        raise _wrong(name, "a string", value)
    return value


def key(value: Any) -> ApiKey | None:
    """Return a key, or what gives one.

    Raises:
        InvalidRequest: It is neither a string nor a function.
    """
    if value is not None and not callable(value):
        text(value, "api_key")
    kept: ApiKey | None = value
    return kept


def url(value: Any) -> str | None:
    """Return where to connect to; None is wherever the transport would.

    Raises:
        InvalidRequest: It is empty, which must not mean OpenAI: the key would go there.
    """
    if value is None or text(value, "url"):
        return None if value is None else str(value)
    raise InvalidRequest(
        "The url is empty: leave it out to connect to OpenAI.",
        code="invalid_url",
        param="url",
    )


def limit(value: Any, name: str) -> None:
    """Refuse what is neither a number above 0 nor None, which is no limit.

    Raises:
        InvalidRequest: It is neither.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise _wrong(name, "a number, or None", value)
    if value is not None and not value > 0:
        raise InvalidRequest(
            f"{name} has to be above 0, or None.", code="invalid_value", param=name
        )


def audio(value: Any) -> bytes:
    """Return audio that was given.

    Raises:
        InvalidRequest: It is no bytes.
    """
    if not isinstance(value, bytes | bytearray | memoryview):
        raise _wrong("Audio", "bytes", value)
    return bytes(value)


def _are_objects(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str | bytes)
        and all(isinstance(each, Mapping) for each in value)
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


def _wrong(name: str, wanted: str, value: Any) -> InvalidRequest:
    return InvalidRequest(
        f"{name} has to be {wanted}, not {type(value).__name__}.", code="invalid_type"
    )
