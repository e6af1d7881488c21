from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from offhook.errors import Unauthorized
from offhook.http.handshake import (
    accept,
    is_beta,
    not_found,
    offered_key,
    quiet_refusals,
    refuse_beta,
    refuse_socket,
)
from tests.relays import serving

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

pytestmark = pytest.mark.anyio


async def serve(websocket: WebSocket) -> None:
    if websocket.query_params.get("bare"):
        # As servers are that cannot refuse with an answer.
        websocket.scope["extensions"] = {}
    if "no" in websocket.query_params:
        await refuse_socket(websocket, Unauthorized("No.", code="invalid_api_key"))
        return
    await accept(websocket)
    if is_beta(websocket):
        await refuse_beta(websocket)
        return
    await websocket.send_text(str(offered_key(websocket)))
    await websocket.close()


APP = Starlette(routes=[WebSocketRoute("/", serve)])
APP.router.default = not_found


@pytest.mark.parametrize(
    ("offered", "selected", "key"),
    [
        (None, None, "None"),
        (["openai-insecure-api-key.ek_x.y"], None, "ek_x.y"),
        (["openai-agents-sdk.1", "realtime"], "realtime", "None"),
        (["realtime", "openai-insecure-api-key.ek_x"], "realtime", "ek_x"),
    ],
)
async def test_a_key_may_be_a_subprotocol(
    offered: Any, selected: str | None, key: str
) -> None:
    async with serving(APP) as url:
        async with connect(url.replace("http", "ws"), subprotocols=offered) as client:
            assert client.subprotocol == selected
            assert await client.recv() == key


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [("?no=1", 401, "No."), ("?no=1&bare=1", 403, ""), ("nowhere", 404, "nothing")],
)
async def test_refusals_have_a_status_and_are_logged_once(
    caplog: pytest.LogCaptureFixture, query: str, status: int, body: str
) -> None:
    quiet_refusals()
    caplog.set_level(logging.ERROR, "uvicorn.error")
    caplog.set_level(logging.INFO, "offhook")
    async with serving(APP) as url:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{url.replace('http', 'ws')}/{query}")
    assert refused.value.response.status_code == status
    assert body in refused.value.response.body.decode()
    [line] = [r for r in caplog.records if r.name.startswith(("offhook", "uvicorn"))]
    assert "refused a WebSocket" in line.getMessage()


@pytest.mark.parametrize(
    "how",
    [
        {"additional_headers": {"OpenAI-Beta": "realtime=v1"}},
        {"subprotocols": ["realtime", "openai-beta.realtime-v1"]},
    ],
)
async def test_the_beta_protocol_is_gone(how: dict[str, Any]) -> None:
    async with serving(APP) as url:
        async with connect(url.replace("http", "ws"), **how) as client:
            assert "beta_api_shape_disabled" in str(await client.recv())
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 4000
