"""A handshake that was answered with an HTTP status, told as an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from offhook.errors import HandshakeRefused

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_MESSAGE = 300

_ADVICE = {
    "upstream_unauthorized": "check the API key and what it may do",
    "upstream_rate_limited": "try again later, or check the account's credit",
    "upstream_redirected": "use the URL where it really is",
    "upstream_failed": "try again later",
    "upstream_rejected": "check the URL, the model and the headers",
}


def refusal(
    status: int, body: bytes, retry_after: str | None, safe: Callable[[str], str]
) -> HandshakeRefused:
    """Make an error of an HTTP answer.

    Args:
        status: Its status.
        body: Its body, in OpenAI's shape or any other.
        retry_after: The value of its Retry-After header.
        safe: Takes keys out of a text.
    """
    code = _code(status)
    # Redacted first: a cut could leave half a key that no pattern finds.
    message = safe(_message(body))[:_MAX_MESSAGE] or "it gave no reason"
    return HandshakeRefused(
        f"The server refused the connection ({status}): {message.rstrip('.')}. "
        f"What to do: {_ADVICE[code]}.",
        http_status=status,
        code=code,
        status=503 if status == 429 else None,
        retry_after=_header(retry_after),
    )


def _code(status: int) -> str:
    if status in (401, 403):
        return "upstream_unauthorized"
    if status == 429:
        return "upstream_rate_limited"
    if 300 <= status < 400:
        return "upstream_redirected"
    return "upstream_failed" if status >= 500 else "upstream_rejected"


def _message(body: bytes) -> str:
    # {"error": {"message": …}} as OpenAI has it; gateways leave out `error`.
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for name in ("error", "message"):
        if isinstance(value, dict):
            value = value.get(name, value)
    return value if isinstance(value, str) else ""


def _header(value: str | None) -> str | None:
    return value if value and len(value) <= 64 and value.isascii() else None
