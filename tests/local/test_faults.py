from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import websockets
from openai import APIStatusError, AsyncOpenAI, RateLimitError
from websockets.exceptions import ConnectionClosed, InvalidStatus

from offhook.errors import InvalidRequest
from offhook.local import serving
from offhook.local.faults import HEADER, Fault
from offhook.settings import LocalSettings
from tests.caller import Caller, calling, offer
from tests.official import problems

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offhook.speech import Engines

pytestmark = pytest.mark.anyio

AUTH = {"Authorization": "Bearer sk-any"}


@pytest.fixture(scope="module")
async def url(engines: Engines) -> AsyncIterator[str]:
    async with serving(LocalSettings.model_validate({"port": 0, "faults": True})) as it:
        async with wire(it):
            pass  # it is accepted when the models are there
        yield it


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Talks to the endpoint, and takes back what it has armed."""
    async with httpx.AsyncClient(base_url=url, headers=AUTH, timeout=20) as client:
        yield client
        await client.delete(faults(url), headers=AUTH)


def faults(url: str) -> str:
    return f"{url.removesuffix('/v1')}/faults"


def wire(url: str, fault: str = "", query: str = "model=x") -> websockets.connect:
    headers = {**AUTH, HEADER: fault} if fault else AUTH
    socket = f"{url.replace('http', 'ws')}/realtime?{query}"
    return websockets.connect(socket, additional_headers=headers, max_size=None)


async def until(client: websockets.ClientConnection, kind: str) -> list[dict[str, Any]]:
    """Every event up to one of this type."""
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while not events or events[-1]["type"] != kind:
            events.append(json.loads(await client.recv()))
            assert problems(events[-1]) == []
    return events


def kinds(events: list[dict[str, Any]]) -> set[str]:
    return {event["type"] for event in events}


def question(text: str = "How do you spell cat?") -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


async def ask(client: websockets.ClientConnection) -> None:
    await client.send(
        json.dumps({"type": "conversation.item.create", "item": question()})
    )
    await client.send('{"type":"response.create"}')


@asynccontextmanager
async def sideband(
    url: str, caller: Caller, fault: str = ""
) -> AsyncIterator[websockets.ClientConnection]:
    async with wire(url, fault, f"call_id={caller.call_id}") as client:
        yield client


@pytest.mark.parametrize(
    "text",
    [
        "status=429; retry_after=2.5",
        "delay=0.5; half_close=3.0; drop=4.0; times=2",
        "drop_media=1.0; lose=response.output_audio.*; expire=2.0",
    ],
)
def test_a_fault_is_written_as_it_is_read(text: str) -> None:
    assert str(Fault.parse(text)) == text
    assert Fault.parse(text.replace("; ", " ;").replace("=", " = ")) == Fault.parse(
        text + ";"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "nothing is to go wrong"),
        ("times=2", "nothing is to go wrong"),
        ("explode=1", "'explode' is unknown"),
        ("status", "'' is not status=401|403"),
        ("status=418", "'418' is not status=401|403"),
        ("drop=soon", "'soon' is not drop=SECONDS"),
        ("drop=-1", "'-1' is not drop=SECONDS"),
        ("drop=nan", "'nan' is not drop=SECONDS"),
        ("drop=1; drop=2", "'drop' is there twice"),
        ("lose=Response", "'Response' is not lose=GLOB"),
        ("status=429; times=0", "'0' is not times="),
    ],
)
def test_what_is_no_fault_is_named_with_all_that_there_are(
    text: str, reason: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Fault.parse(text)
    assert (caught.value.code, caught.value.param) == ("invalid_fault", "fault")
    assert reason in str(caught.value)
    assert "half_close=SECONDS; drop=SECONDS; drop_media=SECONDS" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, "invalid_request_error", "invalid_api_key"),
        (403, "request_forbidden", "unsupported_country_region_territory"),
        (404, "invalid_request_error", "model_not_found"),
        (429, "requests", "rate_limit_exceeded"),
        (500, "server_error", "server_error"),
        (502, "server_error", "server_error"),
        (503, "server_error", "server_error"),
        (504, "server_error", "server_error"),
    ],
)
async def test_a_status_answers_a_mint_an_offer_a_hang_up_and_a_handshake(
    url: str, status: int, kind: str, code: str
) -> None:
    fault = f"status={status}; retry_after=7"
    options: Any = {"base_url": url, "api_key": "sk-any", "max_retries": 0}
    async with AsyncOpenAI(**options, default_headers={HEADER: fault}) as client:
        for request in (
            client.realtime.client_secrets.create(),
            client.realtime.calls.create(sdp="v=0"),
            client.realtime.calls.hangup("rtc_x"),
        ):
            with pytest.raises(APIStatusError) as caught:
                await request
            error = caught.value
            assert (error.status_code, error.type, error.code) == (status, kind, code)
            assert error.response.headers["retry-after"] == "7"
    with pytest.raises(InvalidStatus) as denied:
        await wire(url, fault)
    response = denied.value.response
    assert (response.status_code, response.headers["retry-after"]) == (status, "7")
    assert json.loads(response.body)["error"]["code"] == code


async def test_a_delay_comes_before_the_answer(
    url: str, client: httpx.AsyncClient
) -> None:
    began = time.monotonic()
    delayed = await client.post(
        "/realtime/client_secrets", headers={HEADER: "delay=0.3"}
    )
    assert delayed.status_code == 200
    assert time.monotonic() - began >= 0.3
    began = time.monotonic()
    async with wire(url, "delay=0.3"):
        assert time.monotonic() - began >= 0.3


async def test_a_half_closed_socket_stays_open_and_silent(url: str) -> None:
    async with wire(url, "half_close=0.5") as client:
        await until(client, "session.created")
        with pytest.raises(TimeoutError):
            while True:
                await client.send('{"type":"response.cancel"}')
                async with asyncio.timeout(0.6):
                    assert "error" in str(await client.recv())
        # Whoever only asks whether the connection lives notices nothing.
        await (await client.ping())
        assert client.close_code is None
        await client.close()
        assert client.close_code == 1000


async def test_a_half_closed_call_keeps_its_media(url: str) -> None:
    async with calling(url, headers={HEADER: "half_close=1"}) as caller:
        closed = asyncio.Event()
        caller.channel.on("close", closed.set)
        async with asyncio.timeout(20):
            await closed.wait()
        async with sideband(url, caller) as side:
            caller.heard.clear()
            await ask(side)
            await until(side, "output_audio_buffer.stopped")
        assert any(caller.heard)
        assert caller.peer.connectionState == "connected"
        assert await hang_up(url, caller) == 200
        await caller.closed()


async def hang_up(url: str, caller: Caller) -> int:
    async with httpx.AsyncClient(headers=AUTH) as client:
        path = f"{url}/realtime/calls/{caller.call_id}/hangup"
        return (await client.post(path)).status_code


async def test_a_dropped_socket_is_cut_without_a_close(url: str) -> None:
    async with wire(url, "drop=0.3") as client:
        await until(client, "session.created")
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1006


async def test_a_dropped_call_is_gone_without_a_goodbye(url: str) -> None:
    async with calling(url, headers={HEADER: "drop=1"}) as caller:
        async with sideband(url, caller) as side:
            with pytest.raises(ConnectionClosed):
                await side.recv()
        assert await hang_up(url, caller) == 404
        # Only its silence tells.
        assert caller.peer.connectionState == "connected"
        assert caller.channel.readyState == "open"


async def test_without_media_a_socket_gets_all_other_events(url: str) -> None:
    async with wire(url, "drop_media=0") as client:
        await ask(client)
        seen = kinds(await until(client, "response.done"))
    assert "response.output_audio.delta" not in seen
    assert {
        "response.output_audio.done",
        "response.output_audio_transcript.delta",
    } <= seen


async def test_without_media_a_call_goes_on(url: str) -> None:
    async with calling(url, headers={HEADER: "drop_media=0"}) as caller:
        caller.send("conversation.item.create", item=question())
        caller.send("response.create")
        await caller.until("output_audio_buffer.started")
        caller.heard.clear()
        await caller.until("output_audio_buffer.stopped")
        assert len(caller.heard) == 0


async def test_lost_events_never_reach_a_socket(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with wire(url, "lose=response.*done") as client:
        await ask(client)
        seen = kinds(await until(client, "rate_limits.updated"))
    assert "response.output_audio.delta" in seen
    assert not any(k.startswith("response.") and k.endswith("done") for k in seen)
    assert "fault: lose=response.*done" in caplog.text
    assert "fault: lost response.done" in caplog.text


async def test_what_a_caller_loses_its_sideband_has(url: str) -> None:
    async with (
        calling(url, headers={HEADER: "lose=response.done"}) as caller,
        sideband(url, caller) as whole,
        sideband(url, caller, "lose=output_audio_buffer.*") as other,
    ):
        caller.send("conversation.item.create", item=question())
        caller.send("response.create")
        await caller.until("output_audio_buffer.stopped")
        assert "response.done" not in kinds(caller.events)
        assert "response.done" in kinds(
            await until(whole, "output_audio_buffer.stopped")
        )
        await other.send('{"type":"response.cancel"}')
        seen = kinds(await until(other, "error"))
        assert "response.done" in seen
        assert "output_audio_buffer.stopped" not in seen


async def test_a_session_expires_early(url: str) -> None:
    before = time.time()
    async with wire(url, "expire=1") as client:
        [created] = await until(client, "session.created")
        assert before + 1 <= created["session"]["expires_at"] <= time.time() + 2
        [error] = await until(client, "error")
        assert time.time() >= created["session"]["expires_at"]
        assert error["error"]["code"] == "session_expired"
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1001


async def test_armed_faults_apply_in_order_and_so_often(
    url: str, client: httpx.AsyncClient
) -> None:
    armed = await client.post(faults(url), json={"fault": "status=429; times=2"})
    assert armed.json() == {"armed": ["status=429", "status=429"]}
    armed = await client.post(faults(url), content="status=503")
    assert armed.json()["armed"][2:] == ["status=503"]
    # These meet no fault that nobody sent along.
    health = await client.get(f"{url.removesuffix('/v1')}/healthz")
    assert health.status_code == 200
    unknown = await client.post("/realtime/calls/rtc_x/hangup")
    assert unknown.status_code == 404
    # Nor does one that is refused for its key.
    stranger = {"Authorization": ""}
    assert (
        await client.post("/realtime/client_secrets", headers=stranger)
    ).status_code == 401
    async with AsyncOpenAI(base_url=url, api_key="sk-any", max_retries=0) as official:
        with pytest.raises(RateLimitError):
            await official.realtime.client_secrets.create()
    with pytest.raises(InvalidStatus) as denied:
        await wire(url)
    assert denied.value.response.status_code == 429
    offered = await client.post(
        "/realtime/calls",
        content=await offer_once(),
        headers={"Content-Type": "application/sdp"},
    )
    assert offered.status_code == 503
    assert (await client.post("/realtime/client_secrets")).status_code == 200


async def offer_once() -> str:
    caller = Caller()
    sdp = await offer(caller)
    await caller.close()
    return sdp


async def test_a_fault_waits_for_a_request_that_it_can_happen_to(
    url: str, client: httpx.AsyncClient
) -> None:
    await client.post(faults(url), content="expire=9; delay=0.1")
    await client.post(faults(url), content="status=500")
    assert (await client.post("/realtime/client_secrets")).status_code == 500
    async with calling(url) as caller:
        expires_at = caller.events[0]["session"]["expires_at"]
        assert expires_at - time.time() < 11
    async with wire(url) as socket:
        [created] = await until(socket, "session.created")
        assert created["session"]["expires_at"] - time.time() > 3000


async def test_a_fault_in_the_header_comes_before_those_armed(
    url: str, client: httpx.AsyncClient
) -> None:
    await client.post(faults(url), content="status=500")
    mint = "/realtime/client_secrets"
    own = await client.post(mint, headers={HEADER: "status=403"})
    assert (own.status_code, (await client.post(mint)).status_code) == (403, 500)


async def test_armed_faults_can_be_taken_back(
    url: str, client: httpx.AsyncClient
) -> None:
    await client.post(faults(url), content="status=429; times=9")
    assert (await client.delete(faults(url))).json() == {"armed": []}
    assert (await client.post("/realtime/client_secrets")).status_code == 200


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"json": {"fault": "boom=1"}}, "'boom' is unknown"),
        ({"content": "boom=1"}, "'boom' is unknown"),
        ({"json": {"fault": 429}}, "a string as its 'fault'"),
        ({"json": {}}, "a string as its 'fault'"),
        ({"json": []}, "must be a JSON object"),
        ({"content": ""}, "nothing is to go wrong"),
        ({"content": b"\xff"}, "is unknown"),
    ],
)
async def test_a_bad_fault_is_refused(
    url: str, client: httpx.AsyncClient, request_: dict[str, Any], reason: str
) -> None:
    refused = await client.post(faults(url), **request_)
    assert refused.status_code == 400
    assert reason in refused.json()["error"]["message"]


async def test_too_many_faults_are_refused(url: str, client: httpx.AsyncClient) -> None:
    assert (await client.post(faults(url), content="drop=1; times=999")).is_success
    refused = await client.post(faults(url), content="drop=1; times=2")
    assert refused.status_code == 400
    assert "1000" in refused.json()["error"]["message"]


@pytest.mark.parametrize("fault", ["drop=1", "status=429; expire=1", "boom"])
async def test_a_header_with_what_cannot_happen_is_refused(
    client: httpx.AsyncClient, fault: str
) -> None:
    for path in ("/realtime/client_secrets", "/realtime/calls/rtc_x/hangup"):
        refused = await client.post(path, headers={HEADER: fault})
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "invalid_fault"


async def test_a_sideband_has_no_end_of_its_own(url: str) -> None:
    async with calling(url) as caller:
        with pytest.raises(InvalidStatus) as denied:
            async with sideband(url, caller, "expire=1"):
                pass
    assert denied.value.response.status_code == 400


async def test_faults_need_the_api_key(url: str) -> None:
    async with httpx.AsyncClient() as stranger:
        for method in ("POST", "DELETE"):
            refused = await stranger.request(method, faults(url))
            assert refused.status_code == 401


async def test_without_the_setting_nothing_goes_wrong(local_url: str) -> None:
    fault = {**AUTH, HEADER: "status=429"}
    async with httpx.AsyncClient(headers=fault) as client:
        mint = await client.post(f"{local_url}/realtime/client_secrets")
        assert mint.status_code == 200
        for method in ("POST", "DELETE"):
            off = await client.request(method, faults(local_url))
            assert (off.status_code, off.json()["error"]["code"]) == (404, "faults_off")
            assert "OFFHOOK_LOCAL_FAULTS" in off.json()["error"]["message"]
    async with wire(local_url, "drop=0") as socket:
        await until(socket, "session.created")
