from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import websockets
from openai import AsyncOpenAI
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close

from offhook.local import serving
from offhook.settings import LocalSettings
from tests.official import problems
from tests.protocol.driver import kinds
from tests.words import plain

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
    assert "42" in plain(await engines.recognise(answer))


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
        ("/nowhere", {}, 404, "not_found"),
        ("?model=x", {"Authorization": "Bearer ek_no"}, 401, "invalid_api_key"),
        ("", {"Authorization": "Bearer sk-any"}, 400, "missing_model"),
        (
            "?call_id=rtc_x",
            {"Authorization": "Bearer sk-any"},
            404,
            "call_id_not_found",
        ),
        *(
            (
                query,
                {"Authorization": "Bearer sk-any"},
                400,
                "mutually_exclusive_parameters",
            )
            for query in (
                "?model=x&call_id=rtc_x",
                "?model=x&intent=transcription",
                "?intent=transcription&call_id=rtc_x",
            )
        ),
    ],
)
async def test_who_may_not_come_in_sees_the_status(
    local_url: str,
    caplog: pytest.LogCaptureFixture,
    query: str,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    caplog.set_level("INFO")
    url = local_url.replace("http", "ws") + "/realtime" + query
    with pytest.raises(InvalidStatus) as caught:
        await websockets.connect(url, additional_headers=headers)
    response = caught.value.response
    assert response.status_code == status
    assert json.loads(response.body)["error"]["code"] == code
    [line] = [r for r in caplog.records if r.name.startswith(("offhook", "uvicorn"))]
    assert f"{status} {code}" in line.getMessage()


@pytest.mark.parametrize(
    "how",
    [
        {"additional_headers": {"OpenAI-Beta": "realtime=v1"}},
        {"subprotocols": ["realtime", "openai-beta.realtime-v1"]},
    ],
)
async def test_the_beta_protocol_is_gone(local_url: str, how: dict[str, Any]) -> None:
    url = local_url.replace("http", "ws") + "/realtime?model=x"
    how = {**how, "additional_headers": {**how.get("additional_headers", {}), **AUTH}}
    async with websockets.connect(url, **how) as beta:
        error = json.loads(await beta.recv())
        assert error["error"]["code"] == "beta_api_shape_disabled"
        with pytest.raises(ConnectionClosed):
            await beta.recv()
        assert beta.close_code == 4000


AUTH = {"Authorization": "Bearer sk-any"}


def connect(local_url: str, key: str = "sk-any") -> websockets.connect:
    url = local_url.replace("http", "ws") + "/realtime?model=x"
    headers = {"Authorization": f"Bearer {key}"}
    return websockets.connect(url, additional_headers=headers, max_size=None)


async def until(client: websockets.ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            event: dict[str, Any] = json.loads(await client.recv())
            if event["type"] == kind:
                return event


def manual(**audio: Any) -> str:
    """A session.update after which only the client ends turns."""
    audio = {"input": {"turn_detection": None, **audio}}
    session = {"type": "realtime", "audio": audio}
    return json.dumps({"type": "session.update", "session": session})


def append(pcm: bytes) -> str:
    audio = base64.b64encode(pcm).decode()
    return json.dumps({"type": "input_audio_buffer.append", "audio": audio})


COMMIT = '{"type":"input_audio_buffer.commit"}'


@pytest.mark.parametrize("by_secret", [False, True])
async def test_a_session_expires(engines: Engines, by_secret: bool) -> None:
    settings = LocalSettings.model_validate({"port": 0, "session_seconds": 0.5})
    async with serving(settings) as url:
        key = await mint(url) if by_secret else "sk-any"
        before = time.time()
        async with connect(url, key) as client:
            created = await until(client, "session.created")
            expires_at = created["session"]["expires_at"]
            assert before < expires_at < time.time() + 1.5
            error = (await until(client, "error"))["error"]
            assert time.time() >= expires_at
            assert error["type"] == "invalid_request_error"
            assert error["code"] == "session_expired"
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
    assert closed.value.rcvd == Close(1001, error["message"])


async def test_an_intent_opens_a_session_that_only_listens(local_url: str) -> None:
    url = local_url.replace("http", "ws") + "/realtime?intent=transcription"
    async with websockets.connect(url, additional_headers=AUTH) as client:
        created = await until(client, "session.created")
    assert created["session"]["type"] == "transcription"
    assert created["session"]["expires_at"] > time.time() + 3000


async def mint(url: str, **body: Any) -> str:
    async with httpx.AsyncClient(headers=AUTH) as client:
        minted = await client.post(f"{url}/realtime/client_secrets", json=body)
    return str(minted.json()["value"])


async def test_a_secret_opens_sessions_until_it_expires_and_they_outlive_it(
    local_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = {"type": "realtime", "instructions": "From the secret"}
    secret = await mint(local_url, expires_after={"seconds": 10}, session=session)
    async with connect(local_url, secret) as first, connect(local_url, secret) as other:
        for client in (first, other):
            created = (await until(client, "session.created"))["session"]
            # `?model=x` is no reason to refuse it, and none to change the session.
            assert created["instructions"] == "From the secret"
            assert created["model"] != "x"
            assert created["expires_at"] > time.time() + 3000
        later = time.time() + 10
        with monkeypatch.context() as clock:
            clock.setattr(time, "time", lambda: later)
            with pytest.raises(InvalidStatus) as refused:
                await connect(local_url, secret)
            async with httpx.AsyncClient() as caller:
                offered = await caller.post(
                    f"{local_url}/realtime/calls",
                    headers={"Authorization": f"Bearer {secret}"},
                )
        denied = json.loads(refused.value.response.body)
        assert refused.value.response.status_code == offered.status_code == 401
        assert denied["error"]["code"] == "expired_api_key"
        assert offered.json() == denied
        await first.send('{"type":"response.cancel"}')
        await until(first, "error")


async def test_ten_seconds_at_once_are_heard(
    local_url: str, speak: Callable[[str], Awaitable[bytes]]
) -> None:
    spoken = await speak("The train leaves at noon.")
    async with connect(local_url) as client:
        await client.send(manual(transcription={"model": "x"}))
        await client.send(append(spoken.rjust(480_000, b"\0")))
        await client.send(COMMIT)
        done = await until(
            client, "conversation.item.input_audio_transcription.completed"
        )
    assert done["usage"]["seconds"] == 10
    assert "train leaves at noon" in done["transcript"].lower()


async def test_the_largest_append_fits_into_a_frame(local_url: str) -> None:
    async with connect(local_url) as client:
        await client.send(manual())
        await client.send(append(bytes(15 * 2**20)))
        await client.send('{"type":"input_audio_buffer.clear"}')
        await until(client, "input_audio_buffer.cleared")


async def test_a_larger_frame_closes_the_socket(local_url: str) -> None:
    async with connect(local_url) as client:
        with pytest.raises(ConnectionClosed):
            await client.send(append(bytes(20 * 2**20)))
            await until(client, "nothing")
        assert client.close_code == 1009


async def test_events_may_come_in_binary_frames(local_url: str) -> None:
    async with connect(local_url) as client:
        await client.send(b'{"type":"response.cancel","event_id":"mine"}')
        assert (await until(client, "error"))["error"]["event_id"] == "mine"
        await client.send(b"\xff")
        assert (await until(client, "error"))["error"]["code"] == "invalid_json"


async def test_a_client_that_does_not_read_is_hung_up_on(
    local_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    item = {
        "id": "item_big",
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "x" * 2**20}],
    }
    retrieve = {"type": "conversation.item.retrieve", "item_id": "item_big"}
    async with asyncio.timeout(30), connect(local_url) as client:
        await client.send(
            json.dumps({"type": "conversation.item.create", "item": item})
        )
        for _ in range(200):
            await client.send(json.dumps(retrieve))
        received = [text async for text in Patient(client)]
    assert "closing" in caplog.text
    # It gets what had been sent, and then the end.
    assert len(received) < 150


class Patient:
    """Reads what is left of a connection."""

    def __init__(self, client: websockets.ClientConnection) -> None:
        self._client = client

    def __aiter__(self) -> Patient:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self._client.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None
