"""The local endpoint as an ASGI application: a Realtime API server, offline."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from offhook.errors import InvalidRequest
from offhook.events import new_id
from offhook.http.body import read_json, read_offer
from offhook.http.failures import HANDLERS
from offhook.local.calls import Calls
from offhook.local.keys import Keys, bearer
from offhook.local.models import Models
from offhook.local.socket import serve_socket
from offhook.protocol import sdp
from offhook.protocol.session_config import requested, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from offhook.settings import LocalSettings

_log = logging.getLogger(__name__)

_BODY_SECONDS = 10.0
_SESSION_SECONDS = 3600  # OpenAI ends every session after 60 minutes


class LocalEndpoint:
    """One function per route; what they share lives as long as the server."""

    def __init__(self, settings: LocalSettings) -> None:
        key = settings.api_key
        self.keys = Keys(key.get_secret_value() if key else None)
        self.models = Models(settings)
        self.calls = Calls()

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Load the models in the background; hang up on everybody at the end."""
        async with self.models, self.calls:
            yield

    async def client_secrets(self, request: Request) -> Response:
        """`POST /v1/realtime/client_secrets`."""
        self.keys.check_api_key(bearer(request.headers))
        body = await read_json(request, _BODY_SECONDS)
        session = requested(new_id("sess"), body.get("session"), expires_at=0)
        secret = self.keys.mint(session, _lifetime(body), time.time())
        return JSONResponse(
            {
                "value": secret.value,
                "expires_at": secret.expires_at,
                "session": shown(secret.session),
            }
        )

    async def create_call(self, request: Request) -> Response:
        """`POST /v1/realtime/calls`, raw or multipart."""
        now = time.time()
        minted = self.keys.check(bearer(request.headers), now)
        offer, given = await read_offer(request, _BODY_SECONDS)
        text = sdp.check_offer(offer)
        expires_at = int(now) + _SESSION_SECONDS
        if minted is not None:
            # OpenAI: with a client secret, its own session stands.
            session = {**minted, "id": new_id("sess"), "expires_at": expires_at}
        else:
            session = requested(new_id("sess"), given, expires_at=expires_at)
        engines = await self.models.loaded()
        call_id, answer = await self.calls.answer(text, session, engines)
        # OpenAI: Location is relative.
        return Response(
            answer,
            status_code=201,
            media_type="application/sdp",
            headers={"Location": f"/v1/realtime/calls/{call_id}"},
        )

    async def hang_up(self, request: Request) -> Response:
        """`POST /v1/realtime/calls/{call_id}/hangup`."""
        self.keys.check_api_key(bearer(request.headers))
        await self.calls.hang_up(request.path_params["call_id"])
        return Response()

    async def socket(self, websocket: WebSocket) -> None:
        """`WS /v1/realtime?model=` and `?call_id=`."""
        await serve_socket(
            websocket, self.keys, self.models, self.calls, _SESSION_SECONDS
        )

    async def healthz(self, _: Request) -> Response:
        """`GET /healthz`: 200 once the models are loaded, 503 before."""
        state = self.models.state
        return JSONResponse({"status": state}, 200 if state == "ok" else 503)


def create_app(settings: LocalSettings) -> Starlette:
    """Make the application; its lifespan must run."""
    endpoint = LocalEndpoint(settings)
    calls = "/v1/realtime/calls"
    return Starlette(
        routes=[
            Route(
                "/v1/realtime/client_secrets", endpoint.client_secrets, methods=["POST"]
            ),
            Route(calls, endpoint.create_call, methods=["POST"]),
            Route(f"{calls}/{{call_id}}/hangup", endpoint.hang_up, methods=["POST"]),
            WebSocketRoute("/v1/realtime", endpoint.socket),
            Route("/healthz", endpoint.healthz),
        ],
        middleware=[
            # As the real service: browsers with a client secret come from anywhere.
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["POST", "OPTIONS"],
                allow_headers=[
                    "Authorization",
                    "Content-Type",
                    "X-OpenAI-Agents-SDK",
                    "OpenAI-Safety-Identifier",
                ],
                expose_headers=["Location", "X-Request-Id"],
            )
        ],
        exception_handlers=HANDLERS,
        lifespan=endpoint.lifespan,
    )


def _lifetime(body: dict[str, Any]) -> int:
    after = body.get("expires_after")
    seconds = after.get("seconds", 600) if isinstance(after, dict) else 600
    if not isinstance(seconds, int) or not 10 <= seconds <= 7200:
        raise InvalidRequest(
            "Invalid value for 'expires_after.seconds': it must be between 10 and "
            "7200 seconds.",
            code="invalid_value",
            param="expires_after.seconds",
        )
    return seconds
