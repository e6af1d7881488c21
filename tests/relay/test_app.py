from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from websockets.asyncio.client import connect

from offhook.archive.records import CallQuery
from offhook.archive.store import Store
from offhook.errors import NotFound, SettingsError, UpstreamError
from offhook.relay.app import create_app
from offhook.settings import Settings
from offhook.upstream.base import Answer
from offhook.upstream.openai import OpenAIUpstream
from tests.extras import without
from tests.relays import (
    ANSWER,
    KEY,
    OFFER,
    PROMPT,
    Recorder,
    Relay,
    Running,
    error_of,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_mounted_in_another_application_without_lifespan(
    recorder: Recorder,
) -> None:
    host = FastAPI()
    settings = Settings.load(upstream=recorder.url, api_key=KEY)
    app = create_app(settings, agents={"a": {"instructions": PROMPT}})
    host.mount("/voice", app)
    async with (
        serving(host) as url,
        httpx.AsyncClient(base_url=f"{url}/voice", trust_env=False) as client,
    ):
        relay = Relay(url, client)
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/static/offhook.js")).status_code == 200
        answer = await relay.call(await relay.grant(Origin=url), Origin=url)
        assert (answer.status_code, answer.content) == (201, ANSWER)
        error_of(await relay.call("ek_x"), 401, "invalid_api_key")
        error_of(await client.get("/nowhere"), 404, "not_found")
    assert [received.path for received in recorder.received] == ["/v1/realtime/calls"]
    # Where nobody says that the end has come, the end of the event loop does.
    await app.state.relay.runtime.aclose()


async def test_agents_come_from_the_settings_file(
    recorder: Recorder, tmp_path: Path
) -> None:
    file = tmp_path / "agents.toml"
    file.write_text(f'[sales]\ninstructions = "{PROMPT}"\n')
    settings = Settings.load(upstream=recorder.url, agents=file)
    async with (
        serving(create_app(settings)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        relay = Relay(url, client)
        await relay.call(await relay.grant({"agent": "sales"}))
    assert PROMPT.encode() in recorder.received[0].body
    # Without a key the upstream still gets one: local servers want some key.
    assert recorder.received[0].headers["authorization"] == "Bearer offhook"


class Fixed:
    """The smallest upstream that a host application may bring."""

    def __init__(self) -> None:
        self.offers: list[bytes] = []
        self.closed = False

    async def mint(self, session: Mapping[str, Any], seconds: int) -> dict[str, Any]:
        raise AssertionError("in the default mode nobody mints upstream")

    async def answer(self, offer: bytes, session: Mapping[str, Any]) -> Answer:
        self.offers.append(offer)
        assert session["audio"]
        return Answer("rtc_fixed", ANSWER)

    def connect(self, session: Mapping[str, Any]) -> Any:
        raise AssertionError("in these tests nobody comes over a WebSocket")

    def attach(self, call_id: str) -> Any:
        raise NotFound("There are no sidebands here.")

    async def hang_up(self, call_id: str) -> None:
        raise RuntimeError("canary in a bug")

    async def aclose(self) -> None:
        self.closed = True


async def test_a_given_upstream_answers_and_stays_open() -> None:
    upstream = Fixed()
    app = create_app(Settings.load(), upstream=upstream)
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        relay = Relay(url, client)
        answer = await relay.call(await relay.grant())
        assert answer.headers["location"] == "/v1/realtime/calls/rtc_fixed"
        assert "Fixed" in (await client.get("/")).text
    assert upstream.offers == [OFFER]
    assert not upstream.closed


async def test_a_bug_is_answered_without_its_traceback() -> None:
    app = create_app(Settings.load(), upstream=Fixed())
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        relay = Relay(url, client)
        grant = await relay.grant()
        location = (await relay.call(grant)).headers["location"]
        failed = await client.post(
            f"{location}/hangup", headers={"Authorization": f"Bearer {grant}"}
        )
        error_of(failed, 500, "internal_error")
        assert "canary" not in failed.text
        assert (await relay.call(await relay.grant())).status_code == 201


async def test_the_openness_of_the_default_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "offhook")
    create_app(Settings.load())
    create_app(Settings.load(), agents={"a": {}})
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["no agents file: local callers may configure their own session"]


async def test_lifespan_starts_the_local_endpoint_and_stops_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "offhook.relay.runtime")
    app = create_app(Settings.load())
    async with app.router.lifespan_context(app):
        [line] = [r.getMessage() for r in caplog.records if "no API key" in r.msg]
        url = line.partition("(")[2].rstrip(")")
        upstream = OpenAIUpstream(url)
        assert await upstream.mint({"type": "realtime"}, 60)
    with pytest.raises(UpstreamError) as error:
        await upstream.mint({"type": "realtime"}, 60)
    assert error.value.code == "upstream_unreachable"
    await upstream.aclose()


def test_key_mode_needs_an_upstream() -> None:
    with pytest.raises(SettingsError, match="OPENAI_API_KEY"):
        create_app(Settings.load(keys="upstream"))


def test_a_wrong_upstream_is_found_before_the_first_call() -> None:
    with pytest.raises(SettingsError, match="OFFHOOK_UPSTREAM"):
        create_app(Settings.load(upstream="api.openai.com"))


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/realtime/calls", 405, "method_not_allowed"),
        ("DELETE", "/", 405, "method_not_allowed"),
        ("POST", "/static/offhook.js", 405, "method_not_allowed"),
    ],
)
async def test_unknown_routes_and_methods(
    relay: Relay, method: str, path: str, status: int, code: str
) -> None:
    error_of(await relay.client.request(method, path), status, code)


def test_what_is_recorded_does_not_pass_by() -> None:
    settings = Settings.load(api_key="sk-any", keys="upstream")
    with pytest.raises(SettingsError, match="'support' are recorded"):
        create_app(settings, agents={"support": {"record": "consent"}})


async def test_a_store_that_is_down_ends_no_call(
    running: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    down = f"postgresql://u@/calls?host={tmp_path}"
    async with running({"a": {"instructions": PROMPT}}, store=down) as relay:
        for _ in range(2):
            assert (await relay.call(await relay.grant())).status_code == 201
        error_of(await relay.client.get("/calls.json"), 503, "store_unavailable")
    told = [r.getMessage() for r in caplog.records if "calls go on" in r.getMessage()]
    assert len(told) == len(set(told))


async def test_a_consent_that_cannot_be_taken_back_keeps_no_words(
    local_url: str,
) -> None:
    item = {"type": "message", "role": "user", "content": []}
    said = {**item, "content": [{"type": "input_text", "text": "My secret."}]}
    settings = Settings.load(upstream=local_url, api_key="sk-any")
    agents = {"asks": {"record": "consent"}, "never": {}}
    async with (
        serving(create_app(settings, agents=agents)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        for agent in agents:
            body = {"agent": agent, "consent": {"recording": True}}
            minted = await client.post("/v1/realtime/client_secrets", json=body)
            key = {"Authorization": f"Bearer {minted.json()['value']}"}
            at = f"{url.replace('http', 'ws', 1)}/v1/realtime"
            async with connect(at, additional_headers=key, proxy=None) as socket:
                event = {"type": "conversation.item.create", "item": said}
                await socket.send(json.dumps(event))
                while "conversation.item.done" not in str(await socket.recv()):
                    pass
    async with Store.open("sqlite:///offhook-data/calls.db") as store:
        found = await store.find(CallQuery(text="secret"))
    assert [call.agent for call in found.calls] == ["never"]


async def test_without_the_extra_calls_are_not_kept() -> None:
    create = "from offhook.relay.app import create_app"
    options = "from offhook.settings import Settings"
    run = without("sqlalchemy", create, options)
    said = run("create_app(Settings.load(store='sqlite:///calls.db'))")
    assert "offhook[store]" in said
