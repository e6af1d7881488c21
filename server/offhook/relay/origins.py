"""Which sites' pages may call: an ASGI middleware with exact origins.

An origin is allowed if it is the host that was asked, or if the settings list it. (On
loopback that host must be this machine: names from outside may be made to lead here,
and what a proxy there serves is listed.)
`null` (sandboxed frames, files) never is, there are no wildcards, and no credentials.
Requests without an origin come from servers and scripts, and pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from offhook.errors import Forbidden
from offhook.http.failures import answer
from offhook.http.handshake import refuse_socket
from offhook.relay.callers import is_rebound

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST, DELETE",
    "Access-Control-Allow-Headers": (
        "authorization, content-type, x-openai-agents-sdk, openai-safety-identifier"
    ),
    "Access-Control-Max-Age": "600",
}
# Without Location the official browser client does not know its call's id.
_EXPOSED = "Location, X-Request-Id, Retry-After, Offhook-Tee"
_HARMLESS = ("GET", "HEAD")


class Origins:
    """Answers preflights, refuses foreign origins, and marks allowed answers."""

    def __init__(self, app: ASGIApp, *, allowed: tuple[str, ...]) -> None:
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        host = "" if is_rebound(HTTPConnection(scope)) else headers.get("host", "")
        allowed = origin is not None and self._allows(origin, host)
        if scope["type"] == "websocket":
            # Browsers let any page open one: CORS does not hold for WebSockets.
            if origin is None or allowed:
                await self._app(scope, receive, send)
            else:
                await refuse_socket(WebSocket(scope, receive, send), _foreign(origin))
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(scope=message)
                found.add_vary_header("Origin")
                if allowed and "Access-Control-Allow-Origin" not in found:
                    found["Access-Control-Allow-Origin"] = str(origin)
                    found["Access-Control-Expose-Headers"] = _EXPOSED
            await send(message)

        if origin is not None and not allowed and scope["method"] not in _HARMLESS:
            await answer(_foreign(origin))(scope, receive, marked)
        elif allowed and "access-control-request-method" in headers:
            await Response(status_code=204, headers=_PREFLIGHT)(scope, receive, marked)
        else:
            await self._app(scope, receive, marked)

    def _allows(self, origin: str, host: str) -> bool:
        scheme, _, address = origin.lower().partition("://")
        # The scheme is not compared: behind a TLS proxy this server sees http.
        same = scheme in ("http", "https") and bool(host) and address == host.lower()
        return same or origin.lower() in self._allowed


def _foreign(origin: str) -> Forbidden:
    return Forbidden(
        f"The origin {origin[:128]!r} may not call here. If it should, add it to "
        "OFFHOOK_ORIGINS on the server.",
        code="origin_not_allowed",
    )
