from __future__ import annotations

import asyncio
import json
import logging
import select
import time
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from offhook.relay.app import create_app
from offhook.settings import Settings
from tests.relays import KEY, PROMPT, Relay, Running, serving
from tests.witness import Witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.http11 import Request, Response

pytestmark = pytest.mark.anyio

AGENTS = {"support": {"instructions": PROMPT, "tools": [{"name": "canary"}]}}
QUIET = logging.getLogger("tests.relay.upstream")
QUIET.setLevel(logging.INFO)
CANCEL = '{"type":"response.cancel"}'
AUDIO = '{"type":"input_audio_buffer.append","audio":"AAAA"}'
DELTA = '{"type":"response.output_audio.delta","event_id":"e","delta":"AAAA"}'


class Far:
    """An upstream: what it was asked for, and the sessions that it holds."""

    url = ""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.updates: list[Any] = []
        self.sessions: asyncio.Queue[ServerConnection] = asyncio.Queue()
        # What it says instead of opening a session.
        self.status: int | None = None
        self.error: str | None = None
        self.slow = False
        self.go = asyncio.Event()

    def look(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        if self.status is None:
            return None
        error = {"error": {"message": f"bad key {KEY}, {PROMPT}", "type": "x"}}
        return connection.respond(HTTPStatus(self.status), json.dumps(error))

    async def hold(self, connection: ServerConnection) -> None:
        session: dict[str, Any] = {"type": "realtime", "id": "sess_far"}
        await connection.send(event("session.created", session=session))
        update = json.loads(await connection.recv())
        self.updates.append(update)
        if self.slow:
            self.sessions.put_nowait(connection)
            await self.go.wait()
        if self.error:
            error = {"type": "x", "message": self.error}
            await connection.send(event("error", error=error))
        else:
            session |= update["session"]
            await connection.send(event("session.updated", session=session))
            self.sessions.put_nowait(connection)
        await connection.wait_closed()


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "event_id": "event_1", **fields})


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    far = Far()
    options: dict[str, Any] = {"process_request": far.look, "logger": QUIET}
    async with serve(
        far.hold, "127.0.0.1", 0, close_timeout=0.1, max_size=None, **options
    ) as server:
        far.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield far


def dialling(relay: Relay, key: str, query: str = "", **options: Any) -> connect:
    url = f"{relay.url.replace('http', 'ws', 1)}/v1/realtime{query}"
    headers = {"Authorization": f"Bearer {key}", **options.pop("headers", {})}
    return connect(url, additional_headers=headers, **options)


@asynccontextmanager
async def talking(
    relay: Relay, far: Far, **options: Any
) -> AsyncIterator[tuple[ClientConnection, ServerConnection]]:
    """Open a session, and give both of its ends."""
    async with asyncio.timeout(20):
        async with dialling(relay, await relay.grant(), **options) as near:
            assert json.loads(await near.recv())["type"] == "session.created"
            yield near, await far.sessions.get()


async def refusal(opening: connect) -> tuple[int, Any]:
    with pytest.raises(InvalidStatus) as caught:
        await opening
    response = caught.value.response
    return response.status_code, json.loads(response.body)["error"]


async def closure(side: ClientConnection | ServerConnection) -> tuple[int, str]:
    """Read to the end, and return how it came."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await side.recv()
    close = closed.value.rcvd
    return (close.code, close.reason) if close else (1006, "")


# Handshakes


async def test_the_first_event_shows_the_servers_session(
    running: Running, far: Far
) -> None:
    async with running(AGENTS, upstream=far.url) as relay:
        key = await relay.grant()
        async with dialling(relay, key, "?model=other") as near:
            created = await near.recv()
            await (await far.sessions.get()).send(DELTA)
            assert await near.recv() == DELTA
    first = json.loads(created)
    assert first["type"] == "session.created"
    assert first["event_id"]
    assert first["session"]["id"] == "sess_far"
    assert first["session"]["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert "canary" not in str(created)
    [request] = far.requests
    assert request.path == "/v1/realtime?model=gpt-realtime-2.1"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    [update] = far.updates
    assert update["session"]["instructions"] == PROMPT


async def test_the_subprotocol_is_selected_if_and_only_if_it_was_offered(
    running: Running, far: Far
) -> None:
    async with running(AGENTS, upstream=far.url) as relay:
        named = f"openai-insecure-api-key.{await relay.grant()}"
        offered: Any = ["realtime", named, "openai-agents-sdk.0.20"]
        url = f"{relay.url.replace('http', 'ws', 1)}/v1/realtime"
        async with connect(url, subprotocols=offered) as browser:
            assert browser.subprotocol == "realtime"
            assert not browser.protocol.extensions
        async with talking(relay, far) as (server, _):
            assert server.subprotocol is None


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("", {"Authorization": ""}, 401, "invalid_api_key"),
        ("", {"Authorization": "Bearer ek_canary"}, 401, "invalid_api_key"),
        ("", {"Authorization": f"Bearer {KEY}"}, 401, "invalid_api_key"),
        ("?call_id=rtc_1", {}, 404, "call_id_not_found"),
        ("?intent=transcription", {}, 400, "invalid_value"),
        ("/nowhere", {}, 404, "not_found"),
        ("", {"Origin": "https://evil.example"}, 403, "origin_not_allowed"),
        ("", {"Origin": "null"}, 403, "origin_not_allowed"),
        (
            "",
            {"Origin": "http://evil.example", "Host": "evil.example"},
            403,
            "origin_not_allowed",
        ),
    ],
)
async def test_who_may_not_come_in_sees_the_status(
    running: Running,
    far: Far,
    caplog: pytest.LogCaptureFixture,
    query: str,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    caplog.set_level("INFO", "offhook")
    async with running(AGENTS, upstream=far.url) as relay:
        key = await relay.grant()
        opening = dialling(relay, key, query, headers=headers)
        if "Host" in headers:
            opening = rebound(relay, key)
        refused, error = await refusal(opening)
        assert (refused, error["code"]) == (status, code)
        assert set(error) == {"message", "type", "code", "param"}
        assert far.requests == []
        # The grant is still good.
        async with dialling(relay, key) as near:
            await near.recv()
    assert f"{status} {code}" in caplog.text
    assert "canary" not in caplog.text


def rebound(relay: Relay, key: str) -> connect:
    """Come as a page of a foreign name that was made to lead here."""
    port = relay.url.rpartition(":")[2]
    host = "evil.example"
    return connect(
        f"ws://{host}:{port}/v1/realtime",
        host="127.0.0.1",
        port=int(port),
        proxy=None,
        origin=f"http://{host}:{port}",  # type: ignore[arg-type]  # a str with a name
        additional_headers={"Authorization": f"Bearer {key}"},
    )


async def test_a_grant_opens_one_session_from_its_own_origin(
    running: Running, far: Far
) -> None:
    site = "https://shop.example"
    async with running(AGENTS, upstream=far.url, origins=site) as relay:
        key = await relay.grant(Origin=site)
        status, error = await refusal(dialling(relay, key))
        assert (status, error["code"]) == (403, "origin_mismatch")
        origin = {"Origin": site}
        async with dialling(relay, key, headers=origin) as near:
            await near.recv()
            status, error = await refusal(dialling(relay, key, headers=origin))
            assert (status, error["code"]) == (401, "spent_api_key")


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ({"status": 401}, 502, "upstream_unauthorized"),
        ({"status": 429}, 503, "upstream_rate_limited"),
        ({"status": 500}, 502, "upstream_failed"),
        ({"status": 302}, 502, "upstream_redirected"),
        ({"status": 400}, 502, "upstream_rejected"),
        ({"error": f"{KEY} is wrong, {PROMPT}"}, 502, "upstream_rejected"),
        ({"url": "http://127.0.0.1:9"}, 502, "upstream_unreachable"),
    ],
)
async def test_an_upstream_that_fails_is_told_in_the_handshake(
    running: Running,
    far: Far,
    caplog: pytest.LogCaptureFixture,
    how: dict[str, Any],
    status: int,
    code: str,
) -> None:
    caplog.set_level("DEBUG")
    for name, value in how.items():
        setattr(far, name, value)
    async with running(AGENTS, upstream=far.url) as relay:
        key = await relay.grant()
        refused, error = await refusal(dialling(relay, key))
        assert (refused, error["code"]) == (status, code)
        assert "canary" not in error["message"]
        # A create may have been billed.
        refused, error = await refusal(dialling(relay, key))
        assert (refused, error["code"]) == (401, "spent_api_key")
    assert "canary" not in logged(caplog)
    assert key not in logged(caplog)


@pytest.mark.parametrize("error", [None, "no"])
async def test_a_caller_that_does_not_wait_leaves_nothing_behind(
    running: Running, far: Far, caplog: pytest.LogCaptureFixture, error: str | None
) -> None:
    far.slow, far.error = True, error
    async with asyncio.timeout(10), running(AGENTS, upstream=far.url) as relay:
        opening = asyncio.create_task(dialling(relay, await relay.grant()).__aenter__())
        upstream = await far.sessions.get()
        opening.cancel()
        await asyncio.wait([opening])
        far.go.set()
        await upstream.wait_closed()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_the_beta_protocol_is_gone(running: Running, far: Far) -> None:
    async with running(AGENTS, upstream=far.url) as relay:
        key = await relay.grant()
        beta = {"OpenAI-Beta": "realtime=v1"}
        async with dialling(relay, key, headers=beta) as near:
            error = json.loads(await near.recv())["error"]
            assert error["code"] == "beta_api_shape_disabled"
            assert await closure(near) == (4000, "beta_api_shape_disabled")
        assert far.requests == []
        async with dialling(relay, key) as near:
            await near.recv()


# Events


@pytest.mark.parametrize("direct", [True, False])
async def test_events_pass_in_their_order_through_the_policy(
    running: Running, far: Far, direct: bool
) -> None:
    async with (
        running(AGENTS, direct=direct, upstream=far.url) as relay,
        talking(relay, far) as (near, upstream),
    ):
        texts = [AUDIO.replace("AAAA", f"AA{n:02}") for n in range(50)]
        for text in texts:
            await near.send(text)
        await near.send('{"type":"session.update","event_id":"e9","session":7}')
        await near.send(CANCEL.encode())
        assert [await upstream.recv() for _ in texts] == texts
        assert await upstream.recv() == CANCEL
        error = json.loads(await near.recv())["error"]
        assert (error["param"], error["event_id"]) == ("session", "e9")
        deltas = [DELTA.replace("AAAA", f"AA{n:02}") for n in range(50)]
        call = {"type": "function_call", "name": "canary"}
        await upstream.send(event("response.output_item.added", item=call))
        for text in deltas:
            await upstream.send(text)
        assert [await near.recv() for _ in deltas] == deltas


async def test_long_and_fragmented_events_pass(running: Running, far: Far) -> None:
    async with (
        running(AGENTS, upstream=far.url) as relay,
        talking(relay, far) as (near, upstream),
    ):
        for size in (4, 200, 70_000, 500_000):
            text = AUDIO.replace("AAAA", "A" * size)
            await near.send(text)
            await near.send(AUDIO)
            assert await upstream.recv() == text
            assert await upstream.recv() == AUDIO
            long = DELTA.replace("AAAA", "A" * size)
            await upstream.send(long)
            await upstream.send(DELTA)
            assert await near.recv() == long
            assert await near.recv() == DELTA
        await near.send([AUDIO[:20], AUDIO[20:]])
        await near.send(CANCEL)
        assert [await upstream.recv() for _ in range(2)] == [AUDIO, CANCEL]
        await upstream.send([DELTA[:20], DELTA[20:]])
        await upstream.send(DELTA)
        assert [await near.recv() for _ in range(2)] == [DELTA, DELTA]


async def test_a_local_caller_may_configure_its_session(
    running: Running, far: Far
) -> None:
    update = '{"type":"session.update","session":{"instructions":"Be brief."}}'
    async with (
        running(upstream=far.url) as relay,
        talking(relay, far) as (near, upstream),
    ):
        await near.send(update)
        assert await upstream.recv() == update
        shown = event("session.updated", session={"instructions": "Be brief."})
        await upstream.send(shown)
        assert await near.recv() == shown


async def test_mounted_in_another_application(far: Far) -> None:
    host = FastAPI()
    settings = Settings.load(upstream=far.url, api_key=KEY)
    app = create_app(settings, agents=AGENTS)
    host.mount("/voice", app)
    async with serving(host, direct=False) as url:
        relay = Relay(f"{url}/voice", None)  # type: ignore[arg-type]  # asks nothing
        grants = app.state.relay.grants
        key, _ = grants.issue("support", None, 60, time.time())
        async with dialling(relay, key) as near:
            await near.recv()
            await (await far.sessions.get()).send(DELTA)
            assert await near.recv() == DELTA
        status, error = await refusal(dialling(relay, "ek_x"))
        assert (status, error["code"]) == (401, "invalid_api_key")
    await app.state.relay.runtime.aclose()


# Ends


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ((1000, "bye"), (1000, "")),
        ((1011, PROMPT), (1011, "")),
        ((1012, ""), (1012, "")),
        ((4001, "ä" * 61), (4001, "")),
        (None, (1011, "The upstream broke off.")),
    ],
)
async def test_the_upstreams_close_is_carried_over(
    running: Running,
    far: Far,
    caplog: pytest.LogCaptureFixture,
    said: tuple[int, str] | None,
    heard: tuple[int, str],
) -> None:
    caplog.set_level("INFO", "offhook")
    async with (
        running(AGENTS, upstream=far.url) as relay,
        talking(relay, far) as (near, upstream),
    ):
        await upstream.send(DELTA)
        if said is None:
            upstream.transport.abort()
        else:
            await upstream.close(*said)
        assert await near.recv() == DELTA
        assert await closure(near) == heard
    told = said is not None and bool(said[1])
    assert ("the upstream said" in logged(caplog)) == told
    assert "canary" not in logged(caplog)


async def test_a_local_callers_own_session_is_closed_in_the_upstreams_words(
    running: Running, far: Far
) -> None:
    async with (
        running(upstream=far.url) as relay,
        talking(relay, far) as (near, upstream),
    ):
        await upstream.close(4001, "Out of order.")
        assert await closure(near) == (4001, "Out of order.")


@pytest.mark.parametrize("direct", [True, False])
async def test_an_upstreams_words_go_to_the_log_alone(
    running: Running, far: Far, caplog: pytest.LogCaptureFixture, direct: bool
) -> None:
    caplog.set_level("INFO", "offhook")
    async with (
        running(AGENTS, direct=direct, upstream=far.url) as relay,
        talking(relay, far) as (near, upstream),
    ):
        for said in (PROMPT, "Speed is 99."):
            error = {"type": "x", "code": "invalid_value", "message": said}
            await upstream.send(event("error", error={**error, "event_id": "e7"}))
            heard = json.loads(await near.recv())["error"]
            assert (heard["code"], heard["event_id"]) == ("invalid_value", "e7")
            assert said not in heard["message"]
    assert "the upstream said: 'Speed is 99.'" in logged(caplog)
    assert "canary" not in logged(caplog)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ((1000, "bye"), (1000, "bye")),
        ((4002, "ä" * 61), (4002, "ä" * 61)),
        ((), (1000, "")),
        (None, (1001, "The caller has gone.")),
    ],
)
async def test_the_callers_close_is_carried_over(
    running: Running, far: Far, said: tuple[Any, ...] | None, heard: tuple[int, str]
) -> None:
    async with (
        running(AGENTS, upstream=far.url) as relay,
        talking(relay, far) as (near, upstream),
    ):
        await near.send(AUDIO)
        if said is None:
            near.transport.abort()
        elif said:
            await near.close(*said)
        else:
            near.protocol.send_close()
            near.send_data()
        assert await upstream.recv() == AUDIO
        assert await closure(upstream) == heard


async def test_a_relay_that_ends_tells_both_sides(running: Running, far: Far) -> None:
    async with (
        running(AGENTS, upstream=far.url) as relay,
        talking(relay, far) as (near, upstream),
    ):
        [serving] = [
            task for task in asyncio.all_tasks() if "run_asgi" in str(task.get_coro())
        ]
        serving.cancel()
        assert await closure(near) == (1001, "The server ended the session.")
        assert await closure(upstream) == (1000, "")


async def test_a_session_expires(running: Running, far: Far) -> None:
    async with (
        running(AGENTS, upstream=far.url, session_seconds=0.3) as relay,
        talking(relay, far) as (near, upstream),
    ):
        error = json.loads(await near.recv())["error"]
        assert error["code"] == "session_expired"
        assert "0.3 seconds" in error["message"]
        assert await closure(near) == (1001, error["message"])
        assert await closure(upstream) == (1000, "")


async def test_an_event_that_is_too_long_ends_the_session(
    running: Running, far: Far
) -> None:
    async with (
        running(AGENTS, upstream=far.url, event_bytes=1024) as relay,
        talking(relay, far) as (near, upstream),
    ):
        await near.send(AUDIO.replace("AAAA", "A" * 1024))
        assert await closure(near) == (1009, "The event is too long.")
        assert await closure(upstream) == (1000, "")


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="needs Linux")
@pytest.mark.parametrize("unread", [3_000, 100_000])
async def test_a_flooding_caller_that_has_gone_is_missed_at_once(
    running: Running, far: Far, unread: int
) -> None:
    async with (
        running(AGENTS, upstream=far.url, event_rate=10) as relay,
        talking(relay, far) as (near, upstream),
    ):
        # So many fill the sockets, and its end is stuck behind them.
        for _ in range(unread):
            near.protocol.send_text(CANCEL.encode())
            near.send_data()
        assert await upstream.recv() == CANCEL
        near.transport.abort()
        began = asyncio.get_running_loop().time()
        # With minutes of what it left behind unread.
        assert await closure(upstream) == (1001, "The caller has gone.")
        assert asyncio.get_running_loop().time() - began < 5


# Limits


LONG = DELTA.replace("AAAA", "A" * 100_000)


@pytest.mark.parametrize("direct", [True, False])
async def test_a_caller_that_does_not_read_holds_the_upstream_back(
    running: Running, far: Far, direct: bool
) -> None:
    async with (
        running(AGENTS, direct=direct, upstream=far.url, patience_seconds=0.5) as relay,
        talking(relay, far, max_queue=1) as (near, upstream),
    ):
        sent = 0
        with pytest.raises(ConnectionClosed):
            while True:
                await upstream.send(LONG)
                sent += 1
        # What sockets hold, a few megabytes on a loopback; then it was cut off.
        assert 0 < sent < 200
        received = 0
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await near.recv()
                received += 1
        assert received <= sent
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1008


async def test_a_caller_that_reads_no_errors_is_hung_up_on(
    running: Running, far: Far
) -> None:
    async with (
        running(
            AGENTS, upstream=far.url, patience_seconds=0.5, event_rate=10_000
        ) as relay,
        talking(relay, far) as (near, upstream),
    ):
        near.transport.pause_reading()
        wrong = json.dumps({"type": "no.such.event", "event_id": "x" * 100_000})
        ended = asyncio.create_task(closure(upstream))
        with suppress(ConnectionClosed):
            while not ended.done():
                await near.send(wrong)
        assert await ended == (1000, "")


async def test_an_upstream_that_does_not_read_holds_the_caller_back(
    running: Running, far: Far
) -> None:
    async with (
        running(AGENTS, upstream=far.url) as relay,
        talking(relay, far) as (near, upstream),
    ):
        upstream.transport.pause_reading()
        text = AUDIO.replace("AAAA", "A" * 100_000)
        sent = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    await near.send(text)
                    sent += 1
        assert 0 < sent < 200
        upstream.transport.resume_reading()
        for _ in range(sent):
            assert await upstream.recv() == text


@pytest.mark.parametrize("direct", [True, False])
async def test_a_flood_is_slowed_down_and_then_ended(
    running: Running, far: Far, direct: bool
) -> None:
    limits = {"event_rate": 100, "patience_seconds": 0.5}
    async with (
        running(AGENTS, direct=direct, upstream=far.url, **limits) as relay,
        talking(relay, far) as (near, upstream),
    ):
        loop = asyncio.get_running_loop()
        began = loop.time()
        arriving = asyncio.create_task(count(upstream))
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await near.send(AUDIO)
                # So that they are read one by one.
                await asyncio.sleep(0)
        assert closed.value.rcvd
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
            1008,
            "Too many events.",
        )
        arrived = await arriving
        # Two seconds' worth at once, and then no more than is allowed.
        assert 200 < arrived <= 201 + 100 * (loop.time() - began)


async def count(upstream: ServerConnection) -> int:
    """Read to the end, and return how many events came."""
    return len([text async for text in upstream])


async def test_a_burst_arrives_whole(running: Running, far: Far) -> None:
    async with (
        running(AGENTS, upstream=far.url, event_rate=400) as relay,
        talking(relay, far) as (near, upstream),
    ):
        for _ in range(1000):
            await near.send(AUDIO)
        await near.send(CANCEL)
        for _ in range(1000):
            assert await upstream.recv() == AUDIO
        assert await upstream.recv() == CANCEL


async def test_nothing_secret_is_logged(
    running: Running, far: Far, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with running(AGENTS, upstream=far.url) as relay:
        key = await relay.grant()
        async with dialling(relay, key) as near:
            await near.recv()
            await near.send(CANCEL)
            upstream = await far.sessions.get()
            assert await upstream.recv() == CANCEL
            await upstream.close(4001, f"{KEY} has expired")
            code, reason = await closure(near)
            assert code == 4001
            assert "canary" not in reason
    assert "agent support" in logged(caplog)
    assert "canary" not in logged(caplog)
    assert key not in logged(caplog)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return what the relay and its server said."""
    ours = [r for r in caplog.records if r.name.startswith(("offhook", "uvicorn"))]
    return "\n".join(record.getMessage() for record in ours)


async def test_what_has_to_be_recorded_does_not_pass_here(
    running: Running, far: Far
) -> None:
    async with running({"support": {"record": "always"}}, upstream=far.url) as relay:
        status, error = await refusal(dialling(relay, await relay.grant()))
    assert (status, error["code"]) == (400, "unsupported_transport")
    assert "not" in error["message"]
    assert far.requests == []


async def test_a_session_is_told_to_the_observers(local_url: str) -> None:
    witness = Witness()
    agents = {"support": {"instructions": PROMPT}}
    app = create_app(
        Settings.load(upstream=local_url), agents=agents, observers=[witness]
    )
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        relay = Relay(url, client)
        async with dialling(relay, await relay.grant()) as near:
            await near.recv()
            text = {"type": "input_text", "text": "What is seven times eight?"}
            item = {"type": "message", "role": "user", "content": [text]}
            await near.send(event("conversation.item.create", item=item))
            await near.send(event("response.create"))
            while json.loads(await near.recv())["type"] != "response.done":
                pass
            assert [call.path for call in witness.calls] == ["websocket"]
        ended = await witness.end()
    asked, answered = witness.entries
    assert (asked.who, asked.text) == ("caller", "What is seven times eight?")
    assert "56" in answered.data["transcript"]
    assert answered.data["transcript"].startswith(answered.text)
    # It was sent at once, and nobody listened to the end.
    assert len(answered.text) < len(answered.data["transcript"])
    assert (ended.reason, ended.turns) == ("caller", 2)
    assert ended.usage["tokens"]["output_audio"] > 0


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("near", "caller"),
        ("far", "lost"),
        ("late", "limit"),
        ("long", "refused"),
        ("restart", "server"),
    ],
)
async def test_why_a_session_ended_is_told(far: Far, end: str, reason: str) -> None:
    witness = Witness()
    settings = {"session_seconds": 0.2} if end == "late" else {}
    app = create_app(
        Settings.load(upstream=far.url, api_key=KEY, event_bytes=1024, **settings),
        agents={"support": {"instructions": PROMPT}},
        observers=[witness],
    )
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
        talking(Relay(url, client), far) as (near, upstream),
    ):
        if end == "near":
            await near.close()
        elif end == "far":
            await upstream.close()
        elif end == "long":
            await near.send("x" * 2000)
        elif end == "restart":  # as what uvicorn's end looks like to an application
            await near.close(1012)
        assert (await witness.end()).reason == reason
