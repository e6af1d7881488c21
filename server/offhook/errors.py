"""Everything that Offhook raises, and whose fault it is.

OffhookError
├── CallerError            the caller's: 4xx
│   ├── InvalidRequest     400, or the status that says it better (413, 415, …)
│   ├── Unauthorized       401
│   ├── Forbidden          403
│   └── NotFound           404
├── ServerError            ours: 500
│   ├── SettingsError      the operator's settings do not fit together
│   └── MissingExtra       a part is used that is not installed
└── UpstreamError          the upstream's: 502, 503 or 504
    ├── McpError           an MCP server's
    ├── HandshakeRefused   it answered a handshake or an offer with an HTTP status
    └── WireClosed         the connection to it has ended

Each carries what the Realtime API puts in its error object, so that a route or
an `error` event can be made of any of them.
"""

from __future__ import annotations

import re
from typing import Any, Literal

# OpenAI's keys, our grants, and whatever follows "Bearer". Both kinds of key are
# base64url with dots, so that the match ends where the key ends.
_SECRET = re.compile(r"(?:(?<![\w-])(?:sk-|ek_)|(?i:bearer)\s+)[\w.~+/=-]+")


def redact(text: str, *secrets: str) -> str:
    """Take keys out of a text: those given, and whatever looks like one."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[redacted]")
    return _SECRET.sub("[redacted]", text)


class OffhookError(Exception):
    """Root of the tree; `str()` is safe to show to the caller.

    Attributes:
        message: What went wrong and what to do about it.
        type: Whose fault it is, for programs.
        code: A short word for programs, as in the Realtime API.
        param: The path of the field at fault, if one is.
        status: The HTTP status that says it.
        retry_after: The value of a Retry-After header, where waiting helps.
    """

    type: str = "server_error"
    status: int = 500

    def __init__(
        self,
        message: str,
        *,
        type: str | None = None,
        code: str | None = None,
        param: str | None = None,
        status: int | None = None,
        retry_after: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.retry_after = retry_after
        if type is not None:
            self.type = type
        if status is not None:
            self.status = status

    def body(self) -> dict[str, Any]:
        """The JSON body of an HTTP answer, in OpenAI's shape."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "code": self.code,
                "param": self.param,
            }
        }


class CallerError(OffhookError):
    """The caller has to change something."""

    type = "invalid_request_error"
    status = 400


class InvalidRequest(CallerError):
    """The request is not one that the Realtime API knows."""


class Unauthorized(CallerError):
    """No key, or one that is unknown, expired or spent."""

    status = 401


class Forbidden(CallerError):
    """A known caller that may not do this, or not from here."""

    status = 403


class NotFound(CallerError):
    """There is nothing under this name."""

    status = 404


class ServerError(OffhookError):
    """Our own fault, or the operator's."""


class SettingsError(ServerError):
    """The settings do not fit together; the message names the one to change."""


class MissingExtra(ServerError):
    """A part that is not installed was asked for."""

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(
            f"{module} is not installed. Run: pip install 'offhook[{extra}]'",
            code="missing_extra",
        )


class UpstreamError(OffhookError):
    """The upstream refused, failed, or did not answer in time."""

    type = "upstream_error"
    status = 502


class McpError(UpstreamError):
    """An MCP server could not be asked, or its tool failed.

    Attributes:
        error: What an `mcp_call` item shows of it.
    """

    def __init__(
        self,
        kind: Literal["http_error", "protocol_error", "tool_execution_error"],
        message: str,
        number: int | None = None,
    ) -> None:
        super().__init__(message, code=kind)
        self.error: dict[str, Any] = {"type": kind, "message": message}
        if number is not None:
            self.error["code"] = number


class HandshakeRefused(UpstreamError):
    """The upstream answered a WebSocket's handshake, or an offer, with an HTTP status.

    Attributes:
        http_status: That status; `status` is what it means to our own callers.
    """

    def __init__(
        self,
        message: str,
        *,
        http_status: int,
        code: str | None = None,
        status: int | None = None,
        retry_after: str | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status, retry_after=retry_after)
        self.http_status = http_status


class WireClosed(UpstreamError):
    """The connection has ended; either side may have closed it.

    Attributes:
        close_code: As in RFC 6455 §7.4; 1006 where it broke without a close.
        reason: The reason that was given with it.
    """

    def __init__(self, close_code: int, reason: str = "") -> None:
        self.close_code = close_code
        self.reason = redact(reason)
        why = f"{close_code}: {self.reason}" if reason else f"{close_code}"
        super().__init__(f"The connection was closed ({why}): connect again to go on.")
        self.code = "connection_closed"
