from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from openai import AsyncOpenAI, AuthenticationError, BadRequestError
from openai.types.realtime import ClientSecretCreateResponse

from offhook.errors import SettingsError
from offhook.local import serving
from offhook.local.app import create_app
from offhook.settings import LocalSettings
from tests.caller import Caller, offer

if TYPE_CHECKING:
    from offhook.speech import Engines

pytestmark = pytest.mark.anyio

AUTH = {"Authorization": "Bearer sk-any"}
SECONDS = "expires_after.seconds"


async def test_the_official_client_mints_a_secret(local_url: str) -> None:
    async with AsyncOpenAI(base_url=local_url, api_key="sk-any") as client:
        secret = await client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 30},
            session={"type": "realtime", "instructions": "Hi"},
        )
    assert secret.value.startswith("ek_")
    body = secret.model_dump(mode="json")
    ClientSecretCreateResponse.model_validate(body)
    assert body["session"]["instructions"] == "Hi"
    assert body["session"]["expires_at"] == 0


async def test_the_official_client_starts_calls_both_ways(local_url: str) -> None:
    caller = Caller()
    sdp = await offer(caller)
    async with AsyncOpenAI(base_url=local_url, api_key="sk-any") as client:
        raw = await client.realtime.calls.with_raw_response.create(sdp=sdp)
        session: Any = {"type": "realtime", "instructions": "Hi"}
        multipart = await client.realtime.calls.with_raw_response.create(
            sdp=sdp, session=session
        )
        for response in (raw, multipart):
            assert response.http_response.status_code == 201
            location = response.headers["location"]
            assert location.startswith("/v1/realtime/calls/rtc_")
            assert "a=candidate" in response.text
            await client.realtime.calls.hangup(location.rsplit("/", 1)[-1])
    await caller.close()


async def test_a_secret_opens_its_own_session(local_url: str) -> None:
    async with httpx.AsyncClient(base_url=local_url, headers=AUTH) as client:
        session = {"type": "realtime", "instructions": "From the secret"}
        body = {"session": session}
        minted = await client.post("/realtime/client_secrets", json=body)
        headers = {"Authorization": f"Bearer {minted.json()['value']}"}
        caller = Caller()
        answered = await client.post(
            "/realtime/calls",
            content=await offer(caller),
            headers={**headers, "Content-Type": "application/sdp"},
        )
        assert answered.status_code == 201
        await caller.close()
        # A secret is for callers: it must not mint further ones.
        again = await client.post("/realtime/client_secrets", headers=headers)
        assert again.status_code == 401


async def test_with_a_key_of_its_own_any_other_is_refused() -> None:
    settings = LocalSettings.model_validate({"port": 0, "api_key": "sk-right"})
    async with serving(settings) as url:
        async with AsyncOpenAI(base_url=url, api_key="sk-wrong") as client:
            with pytest.raises(AuthenticationError, match="started with another one"):
                await client.realtime.client_secrets.create()
        async with AsyncOpenAI(base_url=url, api_key="sk-right") as client:
            assert (await client.realtime.client_secrets.create()).value


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"expires_after": {"seconds": 9}}, "invalid_value", SECONDS),
        (
            {"expires_after": {"seconds": 7201}},
            "invalid_value",
            "expires_after.seconds",
        ),
        ({"expires_after": {"seconds": "60"}}, "invalid_type", SECONDS),
        ({"expires_after": {"seconds": 60.5}}, "invalid_type", SECONDS),
        ({"expires_after": {"seconds": True}}, "invalid_type", SECONDS),
        ({"expires_after": {"seconds": None}}, "invalid_type", SECONDS),
        ({"expires_after": {"anchor": "now"}}, "invalid_value", "expires_after.anchor"),
        ({"expires_after": {"x": 1}}, "unknown_parameter", "expires_after.x"),
        ({"expires_after": 60}, "invalid_type", "expires_after"),
        ({"seconds": 60}, "unknown_parameter", "seconds"),
        ({"session": {"type": "dream"}}, "invalid_value", "session.type"),
        ({"session": {}}, "missing_required_parameter", "session.type"),
        ({"session": "realtime"}, "invalid_type", "session"),
        ({"session": {"type": "realtime", "x": 1}}, "unknown_parameter", "session.x"),
    ],
)
async def test_a_bad_mint_is_refused(
    local_url: str, body: dict[str, Any], code: str, param: str
) -> None:
    async with AsyncOpenAI(base_url=local_url, api_key="sk-any") as client:
        with pytest.raises(BadRequestError) as caught:
            await client.realtime.client_secrets.create(extra_body=body)
    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({}, 600),
        ({"expires_after": None}, 600),
        ({"expires_after": {"anchor": "created_at"}}, 600),
        ({"expires_after": {"anchor": "created_at", "seconds": 10}}, 10),
        ({"expires_after": {"seconds": 7200}}, 7200),
    ],
)
async def test_a_secret_lives_as_long_as_was_asked(
    local_url: str, body: dict[str, Any], seconds: int
) -> None:
    async with httpx.AsyncClient(base_url=local_url, headers=AUTH) as client:
        before = time.time()
        minted = await client.post("/realtime/client_secrets", json=body)
    left = minted.json()["expires_at"] - before
    assert seconds - 1 < left <= seconds + 1


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", {}, 400, "invalid_offer"),
        (b"v=0\r\n", {}, 400, "invalid_offer"),
        (b"\xff" * 100, {}, 400, "invalid_offer"),
        (b"v=0\r\n" * 10_000, {}, 413, "request_too_large"),
        (b"v=0\r\n", {"Content-Type": "text/html"}, 415, "unsupported_content_type"),
        (b"v=0\r\n", {"Authorization": "Bearer ek_unknown"}, 401, "invalid_api_key"),
        (b"v=0\r\n", {"Authorization": ""}, 401, "missing_api_key"),
    ],
)
async def test_a_bad_offer_is_refused_and_the_next_call_works(
    local_url: str, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    sdp = {**AUTH, "Content-Type": "application/sdp"}
    async with httpx.AsyncClient(base_url=local_url) as client:
        bad = await client.post(
            "/realtime/calls", content=content, headers={**sdp, **headers}
        )
        assert (bad.status_code, bad.json()["error"]["code"]) == (status, code)
        caller = Caller()
        good = await client.post(
            "/realtime/calls", content=await offer(caller), headers=sdp
        )
        assert good.status_code == 201
        await caller.close()


async def test_browsers_may_come_from_anywhere(local_url: str) -> None:
    async with httpx.AsyncClient(base_url=local_url) as client:
        response = await client.options(
            "/realtime/calls",
            headers={
                "Origin": "https://shop.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,"
                "x-openai-agents-sdk,x-offhook-fault",
            },
        )
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"


async def test_health_waits_for_the_models() -> None:
    async with serving(LocalSettings.model_validate({"port": 0})) as url:
        health = f"{url.removesuffix('/v1')}/healthz"
        async with httpx.AsyncClient() as client:
            first = (await client.get(health)).status_code
            # An offer is answered only when there is somebody to answer it.
            caller = Caller()
            headers = {**AUTH, "Content-Type": "application/sdp"}
            content = await offer(caller)
            await client.post(f"{url}/realtime/calls", content=content, headers=headers)
            assert (await client.get(health)).status_code == 200
            await caller.close()
    assert first in (200, 503)


def test_what_does_not_fit_together_is_told_at_the_start() -> None:
    with pytest.raises(SettingsError, match="turn-secret"):
        create_app(LocalSettings.load(ice_servers="turn:relay.example.com"))


async def test_calls_keep_to_the_ports_that_they_may(engines: Engines) -> None:
    settings = LocalSettings.load(port=0, udp_ports="47100-47199")
    caller = Caller()
    async with serving(settings) as url, httpx.AsyncClient() as client:
        answer = await client.post(
            f"{url}/realtime/calls",
            content=await offer(caller),
            headers={**AUTH, "Content-Type": "application/sdp"},
        )
    await caller.peer.close()
    ports = re.findall(r"a=candidate:\S+ 1 udp \d+ \S+ (\d+) typ host", answer.text)
    assert ports
    assert {port[:3] for port in ports} == {"471"}
