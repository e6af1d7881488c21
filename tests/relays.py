"""Real servers on real sockets: the relay, and an upstream that records."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from offhook.relay.app import create_app
from offhook.settings import Settings
from offhook.wire.server import websocket_protocol

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp

KEY = "sk-canary-0123456789abcdefghij"
PROMPT = "canary instructions that nobody may see"

OFFER = (
    b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
    b"m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\n"
    b"a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijklmn\r\n"
    b"a=fingerprint:sha-256 " + b":".join([b"AB"] * 32) + b"\r\n"
    b"a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n"
    b"a=rtpmap:111 opus/48000/2\r\n"
    b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n"
)
ANSWER = b"v=0\r\no=- 3 4 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the developer's own settings out."""
    for name in os.environ:
        if name.upper().startswith(("OFFHOOK_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@asynccontextmanager
async def serving(
    app: ASGIApp, *, lifespan: bool = True, port: int = 0, direct: bool = True
) -> AsyncIterator[str]:
    """Run an application, by default on a free port, and give its URL."""
    config = uvicorn.Config(
        app,
        # As `offhook serve` has it.
        ws=websocket_protocol() if direct else "websockets-sansio",
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        lifespan="on" if lifespan else "off",
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as the CLI
        await server.startup([listener])
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for listening in server.servers:
                listening.close()
            for connection in list(server.server_state.connections):
                connection.transport.close()
            await server.lifespan.shutdown()


@dataclass
class Received:
    """One request that the upstream got."""

    path: str
    headers: dict[str, str]
    body: bytes


Reply = Callable[[Request], Awaitable[Response]]


@dataclass
class Recorder:
    """An upstream that notes each request, and answers as it is told."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    reply: Reply | Response | None = None

    def app(self) -> Starlette:
        return Starlette(
            routes=[Route("/{path:path}", self._take, methods=["GET", "POST"])]
        )

    def fail(self, status: int, message: str = "", code: str | None = None) -> None:
        """Answer everything with this error from now on."""
        error = {"message": message, "type": "x", "code": code, "param": None}
        self.reply = JSONResponse({"error": error}, status)

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        path = request.url.path
        self.received.append(Received(path, dict(request.headers), body))
        if isinstance(self.reply, Response):
            return self.reply
        if self.reply is not None:
            return await self.reply(request)
        if path.endswith("/calls"):
            location = f"/v1/realtime/calls/rtc_u2_{len(self.received)}"
            return Response(ANSWER, 201, {"Location": location}, "text/plain")
        if path.endswith("/hangup"):
            return Response()
        session = json.loads(body)["session"]
        effective = session | {"object": "realtime.session", "id": "sess_1"}
        return JSONResponse(
            {"value": "ek_upstream", "expires_at": 123, "session": effective}
        )


async def hold(request: Request) -> Response:
    """Answer never: wait until the other side gives up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response()


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    recorder = Recorder()
    async with serving(recorder.app(), lifespan=False) as url:
        recorder.url = url
        yield recorder


@dataclass
class Relay:
    """A running relay, as a caller without a browser sees it."""

    url: str
    client: httpx.AsyncClient

    async def mint(self, body: object = None, **headers: str) -> httpx.Response:
        return await self.client.post(
            "/v1/realtime/client_secrets", json=body or {}, headers=headers
        )

    async def grant(self, body: object = None, **headers: str) -> str:
        minted = await self.mint(body, **headers)
        assert minted.status_code == 200, minted.text
        return str(minted.json()["value"])

    async def call(
        self, grant: str, offer: bytes = OFFER, /, **headers: str
    ) -> httpx.Response:
        """Call as the official browser client does."""
        return await self.client.post(
            "/v1/realtime/calls",
            content=offer,
            headers={
                "Authorization": f"Bearer {grant}",
                "Content-Type": "application/sdp",
                **headers,
            },
        )


Running = Callable[..., Any]


@pytest.fixture
def running(recorder: Recorder) -> Running:
    """Run a relay in front of the recorder, with these settings and agents."""

    @asynccontextmanager
    async def run(
        agents: dict[str, Any] | None = None, direct: bool = True, **given: Any
    ) -> AsyncIterator[Relay]:
        settings = Settings.load(**{"upstream": recorder.url, "api_key": KEY} | given)
        async with (
            serving(create_app(settings, agents=agents), direct=direct) as url,
            httpx.AsyncClient(base_url=url, trust_env=False) as client,
        ):
            yield Relay(url, client)

    return run


@pytest.fixture
async def relay(running: Running) -> AsyncIterator[Relay]:
    """A relay with one agent."""
    async with running({"support": {"instructions": PROMPT}}) as relay:
        yield relay


def error_of(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that this is an error in OpenAI's shape, and return its object."""
    assert (response.status_code, response.headers["content-type"]) == (
        status,
        "application/json",
    ), response.text
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert error["code"] == code, error
    assert error["message"]
    return error
