from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from starlette.responses import JSONResponse, Response

from offhook import __version__
from offhook.errors import HandshakeRefused, InvalidRequest, UpstreamError
from offhook.transports.signalling import Answer, exchange
from tests.relays import ANSWER, OFFER, Recorder

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.anyio

KEY = "hunter2-0123456789"


async def asked(recorder: Recorder, headers: Mapping[str, str] | None = None) -> Answer:
    url = f"{recorder.url}/realtime/calls?api-version=1"
    return await exchange(url, KEY, OFFER.decode(), headers or {})


async def test_the_offer_goes_out_as_it_is_and_the_answer_comes_back(
    recorder: Recorder,
) -> None:
    answer = await asked(recorder, {"X-Mine": "yes", "Content-Type": "text/plain"})
    assert answer == (ANSWER.decode(), "rtc_u2_1")
    [request] = recorder.received
    assert (request.path, request.body) == ("/realtime/calls", OFFER)
    assert request.headers["content-type"] == "application/sdp"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["user-agent"] == f"Offhook/{__version__}"
    assert request.headers["x-mine"] == "yes"


@pytest.mark.parametrize(
    ("location", "call_id"),
    [
        ("https://host/v1/realtime/calls/rtc_1?x=/y", "rtc_1"),
        ("/v1/realtime/calls/rtc_2/", "rtc_2"),
        ("", None),
    ],
)
async def test_the_call_is_the_last_part_of_the_location(
    recorder: Recorder, location: str, call_id: str | None
) -> None:
    recorder.reply = Response(ANSWER, 201, {"Location": location} if location else {})
    assert (await asked(recorder)).call_id == call_id


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500])
async def test_a_refusal_says_why_and_keeps_the_key(
    recorder: Recorder, status: int
) -> None:
    error = {"error": {"message": f"You may not, {KEY}."}}
    headers = {"Location": "/elsewhere", "Retry-After": "7"}
    recorder.reply = JSONResponse(error, status, headers)
    with pytest.raises(HandshakeRefused, match=rf"\({status}\): You may not") as caught:
        await asked(recorder)
    assert (caught.value.http_status, caught.value.retry_after) == (status, "7")
    assert KEY not in str(caught.value)
    assert len(recorder.received) == 1


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"<html>", "not SDP"), (b"", "not SDP"), (b"v=0" * 100_000, "too long")],
)
async def test_what_is_no_answer_is_not_taken(
    recorder: Recorder, body: bytes, why: str
) -> None:
    recorder.reply = Response(body, 201)
    with pytest.raises(UpstreamError, match=why) as caught:
        await asked(recorder)
    assert caught.value.code == "upstream_malformed"


@pytest.mark.parametrize("url", ["", "/calls", "wss://host/v1", "http://"])
async def test_a_url_that_takes_no_offer_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="takes offers") as caught:
        await exchange(url, KEY, "v=0", {})
    assert caught.value.code == "invalid_url"


@pytest.mark.parametrize("key", ["hunter2\n", "hünter2"])
async def test_a_key_that_cannot_be_sent_is_not_repeated(key: str) -> None:
    with pytest.raises(InvalidRequest, match="copy that again") as caught:
        await exchange("http://127.0.0.1:1/calls", key, "v=0", {})
    assert key not in str(caught.value)


async def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://localhost:{taken.getsockname()[1]}/calls"
        with pytest.raises(UpstreamError, match="cannot be reached") as caught:
            await exchange(url, KEY, "v=0", {})
    assert caught.value.code == "upstream_unreachable"


async def test_no_tls_there(recorder: Recorder) -> None:
    url = recorder.url.replace("http:", "https:")
    with pytest.raises(UpstreamError, match="No secure connection") as caught:
        await exchange(f"{url}/calls", KEY, "v=0", {})
    assert caught.value.code == "upstream_tls"


async def test_no_http_there(recorder: Recorder) -> None:
    async def vanish(request: object) -> Response:
        return Response(b"x", headers={"Content-Length": "5"})

    recorder.reply = vanish
    with pytest.raises(UpstreamError, match="not HTTP"):
        await asked(recorder)
