from __future__ import annotations

import asyncio
import json
import logging
from email import message_from_bytes
from email.policy import HTTP
from typing import TYPE_CHECKING

import openai
import pytest
from openai.types.realtime import ClientSecretCreateResponse
from starlette.responses import Response

from tests.relays import (
    ANSWER,
    KEY,
    OFFER,
    PROMPT,
    Recorder,
    Relay,
    Running,
    error_of,
    hold,
)

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio

SITE = "https://shop.example"


def parts_of(received_body: bytes, content_type: str) -> dict[str, tuple[str, bytes]]:
    """Split a multipart body by its boundary, without a parser's opinions."""
    header = f"Content-Type: {content_type}\r\n\r\n".encode()
    boundary = message_from_bytes(header, policy=HTTP).get_boundary()
    assert boundary is not None
    parts = {}
    for part in received_body.split(f"--{boundary}".encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        message = message_from_bytes(head.strip() + b"\r\n\r\n", policy=HTTP)
        name = str(message.get_param("name", header="content-disposition"))
        assert message.get_filename() is None
        parts[name] = (message.get_content_type(), content.removesuffix(b"\r\n"))
    return parts


async def test_mint_answers_in_openais_shape_without_the_servers_secrets(
    running: Running,
) -> None:
    tool = {"type": "function", "name": "canary_tool", "parameters": {}}
    agent = {
        "instructions": PROMPT,
        "tools": [tool],
        "audio": {"input": {"transcription": {"prompt": "canary words"}}},
    }
    async with running({"support": agent}) as relay:
        minted = await relay.mint({"expires_after": {"seconds": 30}})
    secret = ClientSecretCreateResponse.model_validate(minted.json(), strict=True)
    assert secret.value.startswith("ek_")
    assert minted.json()["session"]["id"].startswith("sess_")
    assert minted.json()["session"]["model"] == "gpt-realtime-2.1"
    assert minted.headers["cache-control"] == "no-store"
    for hidden in (PROMPT, "canary", KEY, "instructions", "tools"):
        assert hidden not in minted.text


async def test_the_official_client_mints_calls_and_hangs_up(
    relay: Relay, recorder: Recorder
) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{relay.url}/v1", api_key="unused", max_retries=0
    ) as client:
        secret = await client.realtime.client_secrets.create()
    async with openai.AsyncOpenAI(
        base_url=f"{relay.url}/v1", api_key=secret.value, max_retries=0
    ) as client:
        answer = await client.realtime.calls.create(
            sdp=OFFER.decode(), session={"type": "realtime", "instructions": "mine"}
        )
        call_id = answer.response.headers["location"].rpartition("/")[2]
        assert answer.content == ANSWER
        await client.realtime.calls.hangup(call_id)
    assert recorder.received[-1].path == f"/v1/realtime/calls/{call_id}/hangup"
    sent = recorder.received[0]
    session = json.loads(
        parts_of(sent.body, sent.headers["content-type"])["session"][1]
    )
    assert session["instructions"] == PROMPT


async def test_an_offer_reaches_the_upstream_once_and_untouched(
    relay: Relay, recorder: Recorder
) -> None:
    answer = await relay.call(await relay.grant())
    assert (answer.status_code, answer.content) == (201, ANSWER)
    assert answer.headers["location"] == "/v1/realtime/calls/rtc_u2_1"
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.headers["cache-control"] == "no-store"
    [sent] = recorder.received
    assert sent.path == "/v1/realtime/calls"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    parts = parts_of(sent.body, sent.headers["content-type"])
    assert parts["sdp"] == ("application/sdp", OFFER)
    kind, session = parts["session"]
    assert kind == "application/json"
    assert json.loads(session)["instructions"] == PROMPT
    assert json.loads(session)["audio"]["input"]["turn_detection"]["type"]


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"agent": "nobody"}, 404, "unknown_agent", "agent"),
        ({"agent": 1}, 400, "invalid_type", "agent"),
        ({"session": []}, 400, "invalid_type", "session"),
        ({"model": "x"}, 400, "unknown_parameter", "model"),
        *(
            ({"consent": wrong}, 400, "invalid_value", "consent")
            for wrong in (True, {}, {"recording": 1}, {"recording": True, "x": 1})
        ),
        ({"expires_after": 5}, 400, "invalid_value", "expires_after"),
        ({"expires_after": {"anchor": "x"}}, 400, "invalid_value", "expires_after"),
        *(
            (
                {"expires_after": {"seconds": seconds}},
                400,
                "invalid_value",
                "expires_after.seconds",
            )
            for seconds in (9, 7201, True, 10.5, "60")
        ),
    ],
)
async def test_mint_refuses(
    relay: Relay, body: object, status: int, code: str, param: str
) -> None:
    error = error_of(await relay.mint(body), status, code)
    assert error["param"] == param
    assert "support" not in error["message"]


async def test_a_key_lives_as_long_as_asked_but_no_longer_than_the_operator_allows(
    running: Running,
) -> None:
    async with running(grant_seconds=100) as relay:
        lives = []
        for seconds in (10, 100, 7200):
            minted = await relay.mint({"expires_after": {"seconds": seconds}})
            lives.append(minted.json()["expires_at"])
    # The clock may tick between the mints.
    assert 85 <= lives[1] - lives[0] <= 95
    assert 0 <= lives[2] - lives[1] <= 5


async def test_key_mode_gives_the_upstreams_key_without_the_servers_session(
    running: Running, recorder: Recorder
) -> None:
    async with running({"support": {"instructions": PROMPT}}, keys="upstream") as relay:
        minted = await relay.mint()
    assert minted.json()["value"] == "ek_upstream"
    assert minted.json()["calls_url"] == f"{recorder.url}/v1/realtime/calls"
    ClientSecretCreateResponse.model_validate(minted.json())
    assert PROMPT not in minted.text
    [sent] = recorder.received
    assert json.loads(sent.body)["session"]["instructions"] == PROMPT
    assert json.loads(sent.body)["expires_after"]["seconds"] == 60


OWN = {"type": "realtime", "instructions": "my own"}


async def called_with(recorder: Recorder) -> str:
    sent = recorder.received[-1]
    session = parts_of(sent.body, sent.headers["content-type"])["session"][1]
    return str(json.loads(session)["instructions"])


async def test_local_callers_configure_their_session_where_no_agents_are(
    running: Running, recorder: Recorder
) -> None:
    async with running() as relay:
        await relay.call(await relay.grant({"session": OWN}))
        assert await called_with(recorder) == "my own"
        await relay.call(await relay.grant())
        assert "friendly" in await called_with(recorder)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "voice.example"},
        {"X-Forwarded-For": "203.0.113.1"},
        {"Forwarded": "for=203.0.113.1"},
    ],
)
async def test_others_get_the_default_agents_session(
    running: Running, recorder: Recorder, headers: dict[str, str]
) -> None:
    async with running() as relay:
        await relay.call(await relay.grant({"session": OWN}, **headers))
    assert "friendly" in await called_with(recorder)


async def test_a_multipart_session_counts_only_where_no_agents_are(
    running: Running, recorder: Recorder
) -> None:
    for agents, expected in ((None, "my own"), ({"a": {"instructions": "x"}}, "x")):
        async with running(agents) as relay:
            await relay.client.post(
                "/v1/realtime/calls",
                files={"sdp": (None, OFFER), "session": (None, json.dumps(OWN))},
                headers={"Authorization": f"Bearer {await relay.grant()}"},
            )
        assert await called_with(recorder) == expected


async def test_a_session_of_another_type_is_refused(running: Running) -> None:
    async with running() as relay:
        refused = await relay.mint({"session": {"type": "transcription"}})
    assert error_of(refused, 400, "invalid_value")["param"] == "type"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "invalid_api_key"),
        ("Basic YTpi", "invalid_api_key"),
        ("Bearer", "invalid_api_key"),
        ("Bearer ek_garbage", "invalid_api_key"),
        (f"Bearer {KEY}", "invalid_api_key"),
    ],
)
async def test_a_call_needs_a_key_of_this_server(
    relay: Relay, recorder: Recorder, authorization: str | None, code: str
) -> None:
    headers = {"Content-Type": "application/sdp"}
    if authorization is not None:
        headers["Authorization"] = authorization
    refused = await relay.client.post(
        "/v1/realtime/calls", content=OFFER, headers=headers
    )
    error_of(refused, 401, code)
    assert recorder.received == []


async def test_a_grant_is_spent_by_one_call_and_not_by_a_bad_offer(
    relay: Relay, recorder: Recorder
) -> None:
    grant = await relay.grant()
    error_of(await relay.call(grant, b"garbage"), 400, "invalid_offer")
    assert (await relay.call(grant)).status_code == 201
    error_of(await relay.call(grant), 401, "spent_api_key")
    assert len(recorder.received) == 1


async def test_one_of_many_simultaneous_calls_gets_the_grant(
    relay: Relay, recorder: Recorder
) -> None:
    grant = await relay.grant()
    answers = await asyncio.gather(*(relay.call(grant) for _ in range(8)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] + [401] * 7
    assert len(recorder.received) == 1


async def test_a_grant_belongs_to_its_origin(running: Running) -> None:
    async with running(origins=f"{SITE},https://other.example") as relay:
        grant = await relay.grant(Origin=SITE)
        for headers in ({"Origin": "https://other.example"}, {}):
            error_of(await relay.call(grant, **headers), 403, "origin_mismatch")
        assert (await relay.call(grant, Origin=SITE)).status_code == 201


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (401, None, (502, "upstream_unauthorized")),
        (403, None, (502, "upstream_unauthorized")),
        (429, None, (503, "upstream_rate_limited")),
        (400, "invalid_offer", (400, "invalid_offer")),
        (400, "bad_model", (502, "upstream_rejected")),
        (404, None, (502, "upstream_rejected")),
        (500, None, (502, "upstream_failed")),
        (302, None, (502, "upstream_redirected")),
    ],
)
async def test_an_upstreams_refusal_is_named_without_its_secrets(
    relay: Relay,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
    status: int,
    code: str | None,
    expected: tuple[int, str],
) -> None:
    caplog.set_level(logging.DEBUG, "offhook")
    said = f"Incorrect key {KEY} for ek_canary_grant: {PROMPT}"
    recorder.fail(status, said, code)
    failed = await relay.call(await relay.grant())
    error_of(failed, *expected)
    for text in (failed.text, caplog.text):
        assert "canary" not in text
    assert "Traceback" not in caplog.text
    assert [r.name for r in caplog.records if r.levelno >= logging.INFO] == [
        "offhook.upstream.openai",
        "offhook.http.failures",
    ]
    # The next call works.
    recorder.reply = None
    assert (await relay.call(await relay.grant())).status_code == 201
    assert len(recorder.received) == 2


async def test_a_busy_upstream_says_when_to_try_again(
    relay: Relay, recorder: Recorder
) -> None:
    recorder.reply = Response(status_code=429, headers={"Retry-After": "7"})
    failed = await relay.call(await relay.grant())
    error_of(failed, 503, "upstream_rate_limited")
    assert failed.headers["retry-after"] == "7"


async def test_a_slow_upstream_is_given_up(
    running: Running, recorder: Recorder
) -> None:
    async with running(upstream_seconds=0.05) as relay:
        recorder.reply = hold
        error_of(await relay.call(await relay.grant()), 504, "upstream_timeout")
        assert len(recorder.received) == 1


async def test_an_upstream_that_is_not_there_is_named(running: Running) -> None:
    async with running(upstream="http://127.0.0.1:1") as relay:
        failed = await relay.call(await relay.grant())
    error = error_of(failed, 502, "upstream_unreachable")
    assert error["type"] == "upstream_error"


async def test_only_the_caller_of_a_call_hangs_it_up(
    relay: Relay, recorder: Recorder
) -> None:
    grant, stranger = await relay.grant(), await relay.grant()
    location = (await relay.call(grant)).headers["location"]

    async def hang_up(key: str) -> httpx.Response:
        return await relay.client.post(
            f"{location}/hangup", headers={"Authorization": f"Bearer {key}"}
        )

    error_of(await hang_up(stranger), 404, "call_id_not_found")
    error_of(await hang_up("ek_nothing"), 401, "invalid_api_key")
    ended = await hang_up(grant)
    assert (ended.status_code, ended.content) == (200, b"")
    error_of(await hang_up(grant), 404, "call_id_not_found")
    paths = [received.path for received in recorder.received]
    assert paths == ["/v1/realtime/calls", f"{location}/hangup"]


async def test_a_call_that_ended_by_itself_is_hung_up(
    relay: Relay, recorder: Recorder
) -> None:
    grant = await relay.grant()
    location = (await relay.call(grant)).headers["location"]
    headers = {"Authorization": f"Bearer {grant}"}
    recorder.fail(404, code="call_id_not_found")
    ended = await relay.client.post(f"{location}/hangup", headers=headers)
    assert (ended.status_code, ended.content) == (200, b"")


async def test_half_a_surrogate_pair_is_refused(relay: Relay) -> None:
    for body in (b'{"\\ud800":1}', b'{"agent":"\\udc00"}'):
        refused = await relay.client.post(
            "/v1/realtime/client_secrets",
            content=body,
            headers={"Content-Type": "application/json"},
        )
        error_of(refused, 400, "invalid_json")


async def test_a_hang_up_that_failed_can_be_repeated(
    relay: Relay, recorder: Recorder
) -> None:
    grant = await relay.grant()
    location = (await relay.call(grant)).headers["location"]
    headers = {"Authorization": f"Bearer {grant}"}
    recorder.fail(500)
    failed = await relay.client.post(f"{location}/hangup", headers=headers)
    error_of(failed, 502, "upstream_failed")
    recorder.reply = None
    ended = await relay.client.post(f"{location}/hangup", headers=headers)
    assert ended.status_code == 200


async def test_a_call_is_one_line_in_the_log(
    relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "offhook")
    caplog.clear()
    grant = await relay.grant()
    await relay.call(grant)
    assert [r.getMessage() for r in caplog.records if r.name.startswith("offhook")] == [
        "call rtc_u2_1…: agent support, origin None"
    ]


async def test_health(relay: Relay) -> None:
    assert (await relay.client.get("/healthz")).json() == {"status": "ok"}


YES = {"consent": {"recording": True}}


async def test_an_agent_that_needs_consent_has_no_call_without(
    running: Running, recorder: Recorder
) -> None:
    agents = {"support": {"record": "required"}, "sales": {"record": "consent"}}
    async with running(agents) as relay:
        for refused in ({}, {"consent": {"recording": False}}):
            minted = await relay.mint({"agent": "support", **refused})
            error = error_of(minted, 403, "consent_required")
            assert error["param"] == "consent.recording"
        assert recorder.received == []
        call = await relay.call(await relay.grant({"agent": "support", **YES}))
        assert call.status_code == 201
        assert (await relay.call(await relay.grant({"agent": "sales"}))).is_success


async def test_consent_is_in_the_grant_and_nowhere_else(
    running: Running, recorder: Recorder
) -> None:
    secret = "a secret that both know"
    async with running({"support": {}}, secret=secret) as lax:
        grant = await lax.grant()
    # The same grant where the operator wants consent now: it does not say so.
    agents = {"support": {"record": "required"}}
    async with running(agents, secret=secret) as strict:
        error_of(await strict.call(grant), 403, "consent_required")
        assert recorder.received == []
        agreed = await strict.grant(YES)
        header, claims, signature = agreed.split(".")
        forged = ".".join((header, grant.split(".")[1], signature))
        error_of(await strict.call(forged), 401, "invalid_api_key")
        assert claims


async def test_a_page_learns_whether_to_ask_and_nothing_more(running: Running) -> None:
    agents = {
        "support": {"record": "required", "instructions": PROMPT},
        "default": {"record": "always"},
    }
    async with running(agents) as relay:
        path = "/v1/offhook/agent"
        told = await relay.client.get(path, params={"agent": "support"})
        assert told.json() == {"agent": "support", "record": "required"}
        unnamed = await relay.client.get(path)
        assert unnamed.json() == {"agent": "default", "record": "always"}
        nobody = await relay.client.get(path, params={"agent": "nobody"})
        error_of(nobody, 404, "unknown_agent")
