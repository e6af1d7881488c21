from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
import websockets
from openai import AsyncOpenAI
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.official import problems
from tests.protocol.driver import kinds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from openai.resources.realtime.realtime import AsyncRealtimeConnection

    from offhook.speech import Engines

pytestmark = pytest.mark.anyio

SILENCE = bytes(48000)


async def collect(
    connection: AsyncRealtimeConnection, last: str
) -> list[dict[str, Any]]:
    """Receive raw events up to one of a type."""
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while not events or events[-1]["type"] != last:
            events.append(json.loads(await connection.recv_bytes()))
            assert problems(events[-1]) == []
    return events


async def test_the_official_client_holds_a_spoken_turn(
    local_url: str, speak: Callable[[str], Awaitable[bytes]], engines: Engines
) -> None:
    async with (
        AsyncOpenAI(base_url=local_url, api_key="sk-any") as client,
        client.realtime.connect(model="gpt-realtime-2.1") as connection,
    ):
        await collect(connection, "session.created")
        spoken = await speak("What is twelve plus thirty?") + SILENCE
        for at in range(0, len(spoken), 9600):
            audio = base64.b64encode(spoken[at : at + 9600]).decode()
            await connection.input_audio_buffer.append(audio=audio)
        events = await collect(connection, "rate_limits.updated")
    assert kinds(events)[:6] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    deltas = [e["delta"] for e in events if e["type"] == "response.output_audio.delta"]
    answer = b"".join(base64.b64decode(delta) for delta in deltas)
    assert "forty two" in (await engines.recognise(answer)).lower().replace("-", " ")


async def test_a_text_turn_with_the_official_client(local_url: str) -> None:
    async with (
        AsyncOpenAI(base_url=local_url, api_key="sk-any") as client,
        client.realtime.connect(model="gpt-realtime-2.1") as connection,
    ):
        await connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"]}
        )
        content: Any = [{"type": "input_text", "text": "What is 6 times 7?"}]
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        await connection.response.create()
        events = await collect(connection, "response.done")
    assert "42" in events[-1]["response"]["output"][0]["content"][0]["text"]


async def test_the_subprotocol_is_selected_if_and_only_if_it_was_offered(
    local_url: str,
) -> None:
    url = local_url.replace("http", "ws") + "/realtime?model=x"
    offered: Any = ["realtime", "openai-insecure-api-key.sk-any"]
    async with websockets.connect(url, subprotocols=offered) as browser:
        assert browser.subprotocol == "realtime"
    headers = {"Authorization": "Bearer sk-any"}
    async with websockets.connect(url, additional_headers=headers) as server:
        assert server.subprotocol is None


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("?model=x", {}, 401, "missing_api_key"),
        ("?model=x", {"Authorization": "Bearer ek_no"}, 401, "invalid_api_key"),
        ("", {"Authorization": "Bearer sk-any"}, 400, "missing_model"),
        (
            "?call_id=rtc_x",
            {"Authorization": "Bearer sk-any"},
            404,
            "call_id_not_found",
        ),
    ],
)
async def test_who_may_not_come_in_sees_the_status(
    local_url: str, query: str, headers: dict[str, str], status: int, code: str
) -> None:
    url = local_url.replace("http", "ws") + "/realtime" + query
    with pytest.raises(InvalidStatus) as caught:
        await websockets.connect(url, additional_headers=headers)
    response = caught.value.response
    assert response.status_code == status
    assert json.loads(response.body)["error"]["code"] == code


async def test_the_beta_protocol_is_gone(local_url: str) -> None:
    url = local_url.replace("http", "ws") + "/realtime?model=x"
    headers = {"Authorization": "Bearer sk-any", "OpenAI-Beta": "realtime=v1"}
    async with websockets.connect(url, additional_headers=headers) as beta:
        error = json.loads(await beta.recv())
        assert error["error"]["code"] == "beta_api_shape_disabled"
        with pytest.raises(ConnectionClosed):
            await beta.recv()
        assert beta.close_code == 4000
