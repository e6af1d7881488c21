from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from starlette.responses import (
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from websockets.asyncio.server import serve

from offhook.errors import InvalidRequest, NotFound, SettingsError, UpstreamError
from offhook.upstream.openai import OpenAIUpstream, normalise
from tests.relays import ANSWER, KEY, OFFER, PROMPT, Recorder, hold

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from websockets.asyncio.server import ServerConnection

    from offhook.upstream.base import Upstream

pytestmark = pytest.mark.anyio

SESSION = {"type": "realtime", "model": "m"}
CALLS = "/v1/realtime/calls"


@pytest.fixture
async def upstream(recorder: Recorder) -> AsyncIterator[Upstream]:
    upstream = OpenAIUpstream(recorder.url, KEY, seconds=5)
    yield upstream
    await upstream.aclose()


async def failure(upstream: Upstream) -> UpstreamError:
    with pytest.raises(UpstreamError) as error:
        await upstream.answer(OFFER, SESSION)
    assert "canary" not in str(error.value)
    return error.value


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://api.example", "https://api.example/v1"),
        ("https://api.example/", "https://api.example/v1"),
        ("https://api.example/v1/", "https://api.example/v1"),
        ("http://127.0.0.1:8041/openai", "http://127.0.0.1:8041/openai"),
    ],
)
def test_a_base_url_gets_its_version(given: str, expected: str) -> None:
    assert str(normalise(given)) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com",
        "ftp://example.com",
        "https://",
        "http://example.com:port",
        "https://user:canary@example.com",
        "https://example.com/v1?key=canary",
        "https://example.com/v1#canary",
    ],
)
def test_another_url_is_the_operators_mistake(url: str) -> None:
    with pytest.raises(SettingsError, match="OFFHOOK_UPSTREAM") as error:
        normalise(url)
    assert "canary" not in str(error.value)


@pytest.mark.parametrize("key", ["sk-canary\r\n", "sk-cänary"])
def test_a_key_that_no_header_takes_is_the_operators_mistake(key: str) -> None:
    with pytest.raises(SettingsError, match="OPENAI_API_KEY") as error:
        OpenAIUpstream("http://127.0.0.1", key)
    assert "sk-" not in str(error.value)


async def test_a_secret_is_minted(upstream: Upstream, recorder: Recorder) -> None:
    recorder.reply = JSONResponse({"value": "ek_upstream"})
    secret = await upstream.mint({"instructions": "\ud800"}, 30)
    assert secret["value"] == "ek_upstream"
    assert secret["calls_url"] == f"{recorder.url}{CALLS}"
    [sent] = recorder.received
    assert sent.path == "/v1/realtime/client_secrets"
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(sent.body)["expires_after"] == {
        "anchor": "created_at",
        "seconds": 30,
    }


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"value": 1}'])
async def test_a_secret_without_a_value_is_malformed(
    upstream: Upstream, recorder: Recorder, body: bytes
) -> None:
    recorder.reply = Response(body)
    with pytest.raises(UpstreamError) as error:
        await upstream.mint(SESSION, 30)
    assert error.value.code == "upstream_malformed"


@pytest.mark.parametrize(
    "location",
    [
        "/v1/realtime/calls/rtc_1",
        "https://api.example/v1/realtime/calls/rtc_1",
        "/v1/realtime/calls/rtc_1/?x=/y",
        "rtc_1",
    ],
)
async def test_the_call_id_is_locations_last_segment(
    upstream: Upstream, recorder: Recorder, location: str
) -> None:
    recorder.reply = Response(ANSWER, 200, {"Location": location})
    answer = await upstream.answer(OFFER, SESSION)
    assert (answer.call_id, answer.sdp) == ("rtc_1", ANSWER)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (ANSWER, {}),
        (ANSWER, {"Location": "/"}),
        (ANSWER, {"Location": "/calls/.."}),
        (ANSWER, {"Location": "/calls/a%2Fb"}),
        (ANSWER, {"Location": "/calls/" + "x" * 200}),
        (b"", {"Location": "/calls/rtc_1"}),
        (b"<html>canary", {"Location": "/calls/rtc_1"}),
        (b"v=0" * 200_000, {"Location": "/calls/rtc_1"}),
    ],
)
async def test_an_answer_without_its_parts_is_malformed(
    upstream: Upstream, recorder: Recorder, body: bytes, headers: dict[str, str]
) -> None:
    recorder.reply = Response(body, 201, headers)
    error = await failure(upstream)
    assert (error.status, error.code) == (502, "upstream_malformed")


async def test_a_redirect_is_not_followed(
    upstream: Upstream, recorder: Recorder
) -> None:
    recorder.reply = RedirectResponse(f"{recorder.url}/calls/rtc_1", 307)
    error = await failure(upstream)
    assert (error.status, error.code) == (502, "upstream_redirected")
    assert len(recorder.received) == 1


async def test_an_offer_that_the_upstream_cannot_use_is_the_callers_fault(
    upstream: Upstream, recorder: Recorder
) -> None:
    recorder.fail(400, PROMPT, "invalid_offer")
    with pytest.raises(InvalidRequest, match="cannot use this offer") as error:
        await upstream.answer(OFFER, SESSION)
    assert (error.value.status, error.value.code) == (400, "invalid_offer")


async def test_a_rejection_is_quoted_in_the_log_alone(
    upstream: Upstream, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    message = f"Bad model, key {KEY}, Bearer canary, ek_canary. "
    recorder.fail(400, message + "x" * 1000)
    error = await failure(upstream)
    assert error.code == "upstream_rejected"
    assert "Bad model" not in error.message
    [said] = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "Bad model" in said
    assert "canary" not in said
    assert len(said) < 400


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500])
async def test_nobody_hears_the_instructions_from_a_refusal(
    upstream: Upstream,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    recorder.fail(status, f"Bad instructions: {PROMPT}")
    session = {**SESSION, "instructions": PROMPT}
    for asked in (upstream.answer(OFFER, session), upstream.mint(session, 30)):
        with pytest.raises(UpstreamError) as error:
            await asked
        assert "canary" not in error.value.message
    with pytest.raises(UpstreamError):
        await upstream.hang_up("rtc_1")
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    "body", [b"", b"canary", b"[]", b'{"error": 1}', b'{"error": {"message": 5}}']
)
async def test_a_rejection_in_another_shape_has_no_reason(
    upstream: Upstream, recorder: Recorder, body: bytes
) -> None:
    recorder.reply = Response(body, 422)
    error = await failure(upstream)
    assert (error.status, error.code) == (502, "upstream_rejected")


@pytest.mark.parametrize(
    ("value", "kept"), [("7", "7"), ("x" * 100, None), (None, None)]
)
async def test_retry_after_is_kept(
    upstream: Upstream, recorder: Recorder, value: str | None, kept: str | None
) -> None:
    headers = {} if value is None else {"Retry-After": value}
    recorder.reply = Response(status_code=429, headers=headers)
    error = await failure(upstream)
    assert (error.status, error.retry_after) == (503, kept)


async def test_the_deadline_covers_the_whole_answer(recorder: Recorder) -> None:
    """Bytes that keep coming do not put it off."""

    async def drip(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"v=0"
            await hold(request)

        return StreamingResponse(chunks(), 201)

    for reply in (hold, drip):
        recorder.reply = reply
        upstream = OpenAIUpstream(recorder.url, KEY, seconds=0.25)
        error = await failure(upstream)
        assert (error.status, error.code) == (504, "upstream_timeout")
        assert "0.25 seconds" in error.message
        await upstream.aclose()
    assert len(recorder.received) == 2


@asynccontextmanager
async def saying(words: bytes) -> AsyncIterator[str]:
    """Listen on a socket, and say this to everybody."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        assert length is not None
        await reader.readexactly(int(length[1]))
        writer.write(words)
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("words", [b"canary\r\n\r\n", b"HTTP/1.1 201 OK\r\n"])
async def test_what_is_not_http_is_malformed(words: bytes) -> None:
    async with saying(words) as url:
        upstream = OpenAIUpstream(url, KEY)
        assert (await failure(upstream)).code == "upstream_malformed"
        await upstream.aclose()


async def test_nobody_there_is_unreachable() -> None:
    upstream = OpenAIUpstream("http://127.0.0.1:1", KEY)
    error = await failure(upstream)
    assert (error.status, error.code) == (502, "upstream_unreachable")
    await upstream.aclose()


async def test_a_call_is_hung_up(upstream: Upstream, recorder: Recorder) -> None:
    await upstream.hang_up("rtc_1")
    assert [r.path for r in recorder.received] == [f"{CALLS}/rtc_1/hangup"]
    recorder.fail(404, "No session found", "call_id_not_found")
    for call_id in ("rtc_1", "../rtc_1", ""):
        with pytest.raises(NotFound) as error:
            await upstream.hang_up(call_id)
        assert error.value.code == "call_id_not_found"
    assert len(recorder.received) == 2


async def test_no_proxy_stands_before_this_machine(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    upstream = OpenAIUpstream(recorder.url, KEY)
    assert (await upstream.answer(OFFER, SESSION)).sdp == ANSWER
    await upstream.aclose()


async def test_elsewhere_the_standard_proxy_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with saying(b"HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n") as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        upstream = OpenAIUpstream("http://upstream.invalid", KEY)
        assert (await failure(upstream)).code == "upstream_failed"
        await upstream.aclose()


@asynccontextmanager
async def realtime(
    *answers: str,
) -> AsyncIterator[tuple[str, list[str]]]:
    """Run an upstream that says these things at the beginning; give what it heard."""
    heard: list[str] = []

    async def hold(connection: ServerConnection) -> None:
        heard.append(connection.request.path if connection.request else "")
        for answer in answers:
            await connection.send(answer)
        heard.extend([str(text) async for text in connection])

    async with serve(hold, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard


CREATED = '{"type":"session.created","session":{}}'
UPDATED = '{"type":"session.updated","session":{"id":"sess_1"}}'


async def test_a_session_over_websocket_is_set_up() -> None:
    other = '{"type":"conversation.created"}'
    async with realtime(other, CREATED, other, UPDATED, other) as (url, heard):
        upstream = OpenAIUpstream(f"{url}/openai/v1", KEY)
        session = {"type": "realtime", "model": "a b&c", "instructions": "x"}
        async with upstream.connect(session) as opened:
            assert opened.session == {"id": "sess_1"}
            # What comes after that is the caller's.
            assert await opened.wire.receive() == other
        assert opened.wire.closed
        await upstream.aclose()
    path, update = heard
    assert path == "/openai/v1/realtime?model=a%20b%26c"
    assert json.loads(update) == {"type": "session.update", "session": session}


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        (["no JSON"], "upstream_malformed"),
        ([CREATED, '{"type":"session.updated"}'], "upstream_malformed"),
        (['{"type":"error"}'], "upstream_rejected"),
        (
            [CREATED, f'{{"type":"error","error":{{"message":"{KEY}"}}}}'],
            "upstream_rejected",
        ),
        (
            [CREATED, f'{{"type":"error","error":{{"message":"no: {PROMPT}"}}}}'],
            "upstream_rejected",
        ),
        ([CREATED], "upstream_timeout"),
    ],
)
async def test_a_session_that_cannot_be_set_up(
    caplog: pytest.LogCaptureFixture, answers: list[str], code: str
) -> None:
    session = {**SESSION, "instructions": PROMPT}
    async with realtime(*answers) as (url, _):
        upstream = OpenAIUpstream(url, KEY, seconds=0.3)
        with pytest.raises(UpstreamError) as error:
            async with upstream.connect(session):
                pass
        await upstream.aclose()
    assert error.value.code == code
    assert "canary" not in str(error.value)
    assert "canary" not in warned(caplog)


async def test_an_upstream_that_leaves_at_once_says_why_to_the_log_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.close(1011, reasons.pop())

    reasons = [PROMPT, "Out of order."]
    async with serve(leave, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        upstream = OpenAIUpstream(url, KEY)
        for _ in range(2):
            with pytest.raises(UpstreamError) as error:
                async with upstream.connect({**SESSION, "instructions": PROMPT}):
                    pass
            assert (error.value.status, error.value.code) == (502, "connection_closed")
            assert "order" not in error.value.message
            assert "canary" not in error.value.message
        await upstream.aclose()
    assert "Out of order." in warned(caplog)
    assert "canary" not in warned(caplog)


def warned(caplog: pytest.LogCaptureFixture) -> str:
    """Return what we said to the log."""
    ours = [r for r in caplog.records if r.name.startswith("offhook")]
    return "\n".join(record.getMessage() for record in ours)
