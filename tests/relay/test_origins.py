from __future__ import annotations

import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.relays import Recorder, Relay, Running, error_of

pytestmark = pytest.mark.anyio

SITE = "https://shop.example"
MINT = "/v1/realtime/client_secrets"
CALLS = "/v1/realtime/calls"
FOREIGN = [
    "null",
    "https://evil.example",
    "https://shop.example:444",
    "http://shop.example",
    "https://shop.example.evil.example",
    "https://sub.shop.example",
    "https://shop.example/",
    "",
]


@pytest.mark.parametrize("path", [MINT, CALLS, f"{CALLS}/rtc_1/hangup", "/nowhere"])
@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_foreign_page_may_not_call(
    running: Running, recorder: Recorder, origin: str, path: str
) -> None:
    async with running(origins=SITE) as relay:
        for method in ("POST", "OPTIONS"):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            refused = await relay.client.request(method, path, headers=headers)
            error = error_of(refused, 403, "origin_not_allowed")
            assert "OFFHOOK_ORIGINS" in error["message"]
            assert "access-control-allow-origin" not in refused.headers
            assert refused.headers["vary"] == "Origin"
    assert recorder.received == []


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_foreign_page_may_not_open_a_websocket(
    running: Running, recorder: Recorder, origin: str
) -> None:
    async with running(origins=SITE) as relay:
        headers = {"Origin": origin, "Authorization": f"Bearer {await relay.grant()}"}
        url = f"{relay.url.replace('http', 'ws', 1)}/v1/realtime"
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers=headers)
    response = refused.value.response
    assert response.status_code == 403
    assert json.loads(response.body)["error"]["code"] == "origin_not_allowed"
    assert recorder.received == []


@pytest.mark.parametrize("path", [MINT, CALLS])
async def test_the_official_browser_client_passes_its_preflight(
    running: Running, path: str
) -> None:
    async with running(origins=f"https://other.example, {SITE}") as relay:
        allowed = await relay.client.options(
            path,
            headers={
                "Origin": SITE,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == SITE
    assert allowed.headers["access-control-allow-methods"] == "POST, DELETE"
    names = allowed.headers["access-control-allow-headers"].split(", ")
    assert names == [
        "authorization",
        "content-type",
        "x-openai-agents-sdk",
        "openai-safety-identifier",
    ]
    assert int(allowed.headers["access-control-max-age"]) > 0
    assert "access-control-allow-credentials" not in allowed.headers


async def test_an_allowed_page_can_read_answers_and_errors(running: Running) -> None:
    async with running(origins=SITE) as relay:
        minted = await relay.mint(Origin=SITE)
        refused = await relay.mint({"agent": "nobody"}, Origin=SITE)
    for answer in (minted, refused):
        assert answer.headers["access-control-allow-origin"] == SITE
        exposed = answer.headers["access-control-expose-headers"]
        assert exposed == "Location, X-Request-Id, Retry-After, Offhook-Tee"
        assert answer.headers["vary"] == "Origin"


async def test_the_own_page_and_scripts_need_no_setting(relay: Relay) -> None:
    assert (await relay.mint(Origin=relay.url)).status_code == 200
    https = relay.url.replace("http:", "https:")  # behind a TLS proxy
    assert (await relay.mint(Origin=https)).status_code == 200
    assert (await relay.mint()).headers["vary"] == "Origin"


async def test_static_files_are_everybodys(relay: Relay) -> None:
    for origin in ("https://any.example", relay.url):
        file = await relay.client.get("/static/offhook.js", headers={"Origin": origin})
        assert file.status_code == 200
        assert file.headers.get_list("access-control-allow-origin") == ["*"]


async def test_a_foreign_name_that_leads_here_is_not_the_same_origin(
    running: Running, recorder: Recorder
) -> None:
    rebound = {"Host": "evil.example:8040", "Origin": "http://evil.example:8040"}
    async with running() as relay:
        error_of(await relay.mint(**rebound), 403, "origin_not_allowed")
        # Any page can say that it came by way of a proxy.
        for name in ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded"):
            proxied = {**rebound, name: "192.0.2.7"}
            error_of(await relay.mint(**proxied), 403, "origin_not_allowed")
    # A proxy on this machine serves a name that its operator has listed.
    async with running(origins="http://evil.example:8040") as relay:
        assert (await relay.mint(**rebound)).status_code == 200
        proxied = {**rebound, "X-Forwarded-For": "192.0.2.7"}
        assert (await relay.mint(**proxied)).status_code == 200
