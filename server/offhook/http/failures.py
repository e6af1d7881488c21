"""Every failure as an answer in OpenAI's error shape, and as one line in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from offhook.errors import CallerError, OffhookError, ServerError

if TYPE_CHECKING:
    from starlette.requests import Request

_log = logging.getLogger(__name__)

_CODES = {404: "not_found", 405: "method_not_allowed"}


def answer(error: OffhookError) -> Response:
    """Make the answer to a request that failed."""
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if error.retry_after is not None:
        headers["Retry-After"] = error.retry_after
    if error.status in (408, 413):
        # The rest of the body is not worth reading.
        headers["Connection"] = "close"
    return JSONResponse(error.body(), error.status, headers)


def on_offhook_error(request: Request, error: Exception) -> Response:
    """Answer a failure that has a name."""
    assert isinstance(error, OffhookError)
    level = logging.INFO if isinstance(error, CallerError) else logging.WARNING
    # The path is the caller's: %r keeps line ends out of the log.
    _log.log(
        level,
        "%s %r: %d %s: %s",
        request.method,
        request.url.path,
        error.status,
        error.code,
        error.message,
    )
    return answer(error)


def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses: unknown paths and wrong methods."""
    assert isinstance(error, HTTPException)
    status = error.status_code
    failure = CallerError(
        f"{request.method} {request.url.path[:128]!r}: {error.detail}.",
        code=_CODES.get(status, "invalid_request"),
        status=status,
    )
    response = answer(failure)
    response.headers.update(error.headers or {})
    return response


def on_disconnect(request: Request, error: Exception) -> Response:
    """Answer a caller who has left; nobody reads this."""
    return Response(status_code=400)


def on_bug(request: Request, error: Exception) -> Response:
    """Answer an exception that nobody foresaw; the server logs its traceback."""
    return answer(
        ServerError(
            "The server made a mistake: its log says which.", code="internal_error"
        )
    )


HANDLERS = {
    OffhookError: on_offhook_error,
    HTTPException: on_http_exception,
    ClientDisconnect: on_disconnect,
    Exception: on_bug,
}
