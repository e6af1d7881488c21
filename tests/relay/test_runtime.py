from __future__ import annotations

import asyncio
import logging
import os
import stat
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from offhook.archive.writer import Writer
from offhook.errors import MissingExtra
from offhook.relay.runtime import Runtime, upstream_url
from offhook.settings import Settings
from offhook.upstream.openai import OpenAIUpstream
from tests.relays import OFFER, Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

URL = "http://127.0.0.1:1/v1"


def test_the_upstream_is_openai_where_there_is_only_a_key() -> None:
    assert upstream_url(Settings.load()) is None
    url = upstream_url(Settings.load(api_key="sk-x"))
    assert str(url) == "https://api.openai.com/v1"
    assert str(upstream_url(Settings.load(upstream="http://h:1"))) == "http://h:1/v1"


class Endpoint:
    """Stands where the local endpoint does, and counts."""

    def __init__(self, recorder: Recorder | None = None) -> None:
        self.recorder = recorder
        self.started = self.stopped = 0
        self.failing = False

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        self.started += 1
        if self.failing:
            raise MissingExtra("local", "moonshine_voice")
        owner = asyncio.current_task()
        try:
            yield self.recorder.url if self.recorder else URL
        finally:
            assert asyncio.current_task() is owner
            self.stopped += 1


def runtime(endpoint: Endpoint) -> Runtime:
    return Runtime(Settings.load(), endpoint=endpoint.serving)


@pytest.mark.anyio
async def test_many_callers_start_one_endpoint(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "offhook")
    endpoint = Endpoint()
    live = runtime(endpoint)
    assert endpoint.started == 0
    first, *others = await asyncio.gather(*(live.upstream() for _ in range(5)))
    assert all(other is first for other in others)
    assert endpoint.started == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"no API key: the built-in local endpoint answers ({URL})"
    ]
    await live.aclose()
    assert endpoint.stopped == 1
    await live.aclose()


@pytest.mark.anyio
async def test_the_endpoint_is_only_another_upstream(recorder: Recorder) -> None:
    live = runtime(Endpoint(recorder))
    upstream = await live.upstream()
    assert (await upstream.answer(OFFER, {})).call_id == "rtc_u2_1"
    assert recorder.received[0].headers["authorization"] == "Bearer offhook"
    await live.aclose()


@pytest.mark.anyio
async def test_what_was_closed_starts_anew() -> None:
    endpoint = Endpoint()
    live = runtime(endpoint)
    first = await live.upstream()
    await live.aclose()
    assert await live.upstream() is not first
    await live.aclose()
    assert (endpoint.started, endpoint.stopped) == (2, 2)


@pytest.mark.anyio
async def test_a_start_that_failed_is_tried_again() -> None:
    endpoint = Endpoint()
    endpoint.failing = True
    live = runtime(endpoint)
    for _ in range(2):
        with pytest.raises(MissingExtra, match=r"offhook\[local\]"):
            await live.upstream()
    endpoint.failing = False
    await live.upstream()
    await live.aclose()
    assert (endpoint.started, endpoint.stopped) == (3, 1)


@pytest.mark.anyio
async def test_calls_are_kept_where_the_settings_say(tmp_path: Path) -> None:
    live = Runtime(Settings.load(data="kept"), writer=Writer())
    store = await live.store()
    assert store
    assert await live.store() is store
    assert await store.agents() == []
    assert stat.S_IMODE(os.stat("kept/calls.db").st_mode) == 0o600
    await live.aclose()
    live = Runtime(Settings.load(store="sqlite:///other/place.db"), writer=Writer())
    assert await live.store()
    assert "other" in os.listdir(tmp_path)
    await live.aclose()
    assert await Runtime(Settings.load(store="none", data="none")).store() is None
    assert "none" not in os.listdir(tmp_path)


@pytest.mark.anyio
async def test_a_waiter_that_gives_up_does_not_stop_the_start() -> None:
    endpoint = Endpoint()
    live = runtime(endpoint)
    impatient = asyncio.ensure_future(live.upstream())
    patient = asyncio.ensure_future(live.upstream())
    await asyncio.sleep(0)
    impatient.cancel()
    assert isinstance(await patient, OpenAIUpstream)
    assert endpoint.started == 1
    await live.aclose()


def test_each_event_loop_has_its_own() -> None:
    """Test clients make a loop per test, and end it without saying goodbye."""
    endpoint = Endpoint()
    live = runtime(endpoint)
    first = asyncio.run(live.upstream())
    second = asyncio.run(live.upstream())
    assert first is not second
    assert (endpoint.started, endpoint.stopped) == (2, 2)


@pytest.mark.anyio
async def test_the_built_in_endpoint_is_for_this_relay_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OFFHOOK_LOCAL_HOST", "0.0.0.0")
    monkeypatch.setenv("OFFHOOK_LOCAL_API_KEY", "another key than the relay sends")
    live = Runtime(Settings.load())
    upstream = await live.upstream()
    assert isinstance(upstream, OpenAIUpstream)
    assert upstream.base_url.host == "127.0.0.1"
    assert (await upstream.mint({"type": "realtime"}, 60))["value"].startswith("ek_")
    await live.aclose()
