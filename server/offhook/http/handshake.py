"""The server's side of a WebSocket handshake, as the official clients expect it."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.websockets import WebSocket, WebSocketDisconnect

from offhook.errors import NotFound, OffhookError
from offhook.events import new_id, serialise
from offhook.http.failures import answer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_log = logging.getLogger(__name__)

_PROTOCOL = "realtime"
_KEY_PROTOCOL = "openai-insecure-api-key."
_BETA_PROTOCOL = "openai-beta.realtime-v1"


def offered_key(websocket: WebSocket) -> str | None:
    """Find the key that a browser offers as a subprotocol: it can send no header."""
    named = [p for p in _offered(websocket) if p.startswith(_KEY_PROTOCOL)]
    return named[0].removeprefix(_KEY_PROTOCOL) if named else None


async def accept(websocket: WebSocket) -> None:
    """Accept, selecting `realtime` if it was offered and nothing otherwise.

    Browsers abort on the one mistake, Python's websockets on the other.
    """
    offered = _PROTOCOL in _offered(websocket)
    await websocket.accept(_PROTOCOL if offered else None)


async def refuse_socket(websocket: WebSocket, error: OffhookError) -> None:
    """Refuse a handshake before the upgrade, so that clients see the status."""
    _log.info("refused a WebSocket: %d %s: %s", error.status, error.code, error)
    with contextlib.suppress(WebSocketDisconnect):  # it did not wait
        if "websocket.http.response" in websocket.scope.get("extensions", {}):
            await websocket.send_denial_response(answer(error))
        else:
            await websocket.close()  # as a 403 without a body


def is_beta(websocket: WebSocket) -> bool:
    """Whether a client speaks the beta API, which is no more."""
    return "openai-beta" in websocket.headers or _BETA_PROTOCOL in _offered(websocket)


async def refuse_beta(websocket: WebSocket) -> None:
    """Tell an accepted client so as OpenAI does, and close."""
    error = {
        "type": "invalid_request_error",
        "code": "beta_api_shape_disabled",
        "message": "The Realtime Beta API is no longer supported. Please use "
        "/v1/realtime for the GA API.",
        "param": None,
        "event_id": None,
    }
    event = {"type": "error", "event_id": new_id("event"), "error": error}
    await websocket.send_text(serialise(event))
    await websocket.close(4000, "beta_api_shape_disabled")


async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket that nobody serves as other requests are: an ASGI app."""
    if scope["type"] == "websocket":
        error = NotFound("There is nothing here.", code="not_found")
        await refuse_socket(WebSocket(scope, receive, send), error)
    else:
        raise HTTPException(404)


def quiet_refusals() -> None:
    """Keep uvicorn from logging each refusal as a handshake that was forgotten."""
    logging.getLogger("uvicorn.error").addFilter(_is_no_refusal)


def _is_no_refusal(record: logging.LogRecord) -> bool:
    return "without completing handshake" not in str(record.msg)


def _offered(websocket: WebSocket) -> list[str]:
    offered: list[str] = websocket.scope.get("subprotocols", [])
    return offered
