"""The local endpoint as an ASGI application: a Realtime API server, offline."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from offhook.errors import InvalidRequest
from offhook.events import new_id
from offhook.http.body import read_json, read_offer, read_text
from offhook.http.failures import HANDLERS
from offhook.http.handshake import not_found
from offhook.local.calls import Calls
from offhook.local.faults import CALL, HEADER, REQUEST, Fault, Faults
from offhook.local.keys import Keys, bearer, mint_request
from offhook.local.models import Models
from offhook.local.socket import serve_socket
from offhook.media.factory import PeerFactory
from offhook.media.network import Network
from offhook.protocol import sdp
from offhook.protocol.session_config import requested, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from offhook.protocol.session_config import Session
    from offhook.settings import LocalSettings

_log = logging.getLogger(__name__)

_BODY_SECONDS = 10.0


class LocalEndpoint:
    """One function per route; what they share lives as long as the server."""

    def __init__(self, settings: LocalSettings) -> None:
        key = settings.api_key
        self.keys = Keys(key.get_secret_value() if key else None)
        self.models = Models(settings)
        self.calls = Calls(PeerFactory(Network.of(settings)))
        self.faults = Faults(settings.faults)
        self._seconds = settings.session_seconds

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Load the models in the background; hang up on everybody at the end."""
        async with self.models, self.calls:
            yield

    async def client_secrets(self, request: Request) -> Response:
        """`POST /v1/realtime/client_secrets`."""
        self.keys.check_api_key(bearer(request.headers))
        await self.faults.strike(request.headers, REQUEST)
        wanted = mint_request(await read_json(request, _BODY_SECONDS))
        session = requested(new_id("sess"), wanted.session, expires_at=0)
        secret = self.keys.mint(session, wanted.seconds, time.time())
        return JSONResponse(
            {
                "value": secret.value,
                "expires_at": secret.expires_at,
                "session": shown(secret.session),
            }
        )

    async def create_call(self, request: Request) -> Response:
        """`POST /v1/realtime/calls`, raw or multipart."""
        minted = self.keys.check(bearer(request.headers), time.time())
        fault = await self.faults.strike(request.headers, CALL)
        offer, given = await read_offer(request, _BODY_SECONDS)
        text = sdp.check_offer(offer)
        session = self.session(minted, given, fault)
        engines = await self.models.loaded()
        call_id, answer = await self.calls.answer(text, session, engines, fault)
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
        await self.faults.strike(request.headers, REQUEST, armed=False)
        await self.calls.hang_up(request.path_params["call_id"])
        return Response()

    async def direct(self, request: Request) -> Response:
        """`POST /v1/realtime/calls/{call_id}/accept`, `/reject` and `/refer`."""
        self.keys.check_api_key(bearer(request.headers))
        self.calls.find(request.path_params["call_id"])
        raise InvalidRequest(
            "Only SIP calls can be accepted, rejected or referred. This one came over "
            "WebRTC: it can only be hung up.",
            code="not_a_sip_call",
        )

    async def socket(self, websocket: WebSocket) -> None:
        """`WS /v1/realtime?model=` and `?call_id=`."""
        await serve_socket(websocket, self)

    async def arm_faults(self, request: Request) -> Response:
        """`POST /faults`: let the next requests go wrong."""
        self.keys.check_api_key(bearer(request.headers))
        text = await read_text(request, _BODY_SECONDS, "fault")
        return JSONResponse({"armed": self.faults.arm(text)})

    async def clear_faults(self, request: Request) -> Response:
        """`DELETE /faults`: let nothing go wrong any more."""
        self.keys.check_api_key(bearer(request.headers))
        self.faults.clear()
        return JSONResponse({"armed": []})

    def session(self, minted: Session | None, wanted: Any, fault: Fault) -> Session:
        """Make the session of a call: its client secret's, or the one it asks for.

        Raises:
            InvalidRequest: What it asks for is malformed.
        """
        seconds = self._seconds if fault.expire is None else fault.expire
        expires_at = math.ceil(time.time() + seconds)
        if minted is None:
            return requested(new_id("sess"), wanted, expires_at=expires_at)
        # OpenAI: with a client secret, its own session stands.
        return {**minted, "id": new_id("sess"), "expires_at": expires_at}

    async def healthz(self, _: Request) -> Response:
        """`GET /healthz`: 200 once the models are loaded, 503 before."""
        state = self.models.state
        return JSONResponse({"status": state}, 200 if state == "ok" else 503)


def create_app(settings: LocalSettings) -> Starlette:
    """Make the application; its lifespan must run."""
    endpoint = LocalEndpoint(settings)
    calls = "/v1/realtime/calls"
    app = Starlette(
        routes=[
            Route(
                "/v1/realtime/client_secrets", endpoint.client_secrets, methods=["POST"]
            ),
            Route(calls, endpoint.create_call, methods=["POST"]),
            Route(f"{calls}/{{call_id}}/hangup", endpoint.hang_up, methods=["POST"]),
            *(
                Route(f"{calls}/{{call_id}}/{verb}", endpoint.direct, methods=["POST"])
                for verb in ("accept", "reject", "refer")
            ),
            WebSocketRoute("/v1/realtime", endpoint.socket),
            Route("/healthz", endpoint.healthz),
            Route("/faults", endpoint.arm_faults, methods=["POST"]),
            Route("/faults", endpoint.clear_faults, methods=["DELETE"]),
        ],
        middleware=[
            # As the real service: browsers with a client secret come from anywhere.
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["POST", "DELETE", "OPTIONS"],
                allow_headers=[
                    "Authorization",
                    "Content-Type",
                    "X-OpenAI-Agents-SDK",
                    "OpenAI-Safety-Identifier",
                    HEADER,
                ],
                expose_headers=["Location", "X-Request-Id"],
            )
        ],
        exception_handlers=HANDLERS,
        lifespan=endpoint.lifespan,
    )
    app.router.default = not_found
    return app
