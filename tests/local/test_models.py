from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from offhook.errors import ServerError
from offhook.local import serving
from offhook.local.models import Models
from offhook.settings import LocalSettings
from tests.caller import Caller, offer

if TYPE_CHECKING:
    from offhook.speech import Engines

pytestmark = pytest.mark.anyio

GOOD = LocalSettings.model_validate({})
# The default parts are there; the chat server's address is what cannot be loaded.
BAD = LocalSettings.model_validate({"chat_url": "http://localhost:port/v1"})


def workers() -> int:
    return sum("offhook-" in thread.name for thread in threading.enumerate())


async def test_entering_does_not_wait_for_the_models(engines: Engines) -> None:
    async with Models(GOOD) as models:
        states = [models.state]
        async with asyncio.timeout(20):
            first, second = await asyncio.gather(models.loaded(), models.loaded())
        states.append(models.state)
        assert states == ["loading", "ok"]
        assert first is second is await models.loaded()


async def test_leaving_unloads_them(engines: Engines) -> None:
    before = workers()
    async with Models(GOOD) as models:
        await models.loaded()
        assert workers() > before
    assert workers() == before
    assert models.state != "ok"


async def test_leaving_while_they_load_leaves_nothing_behind(engines: Engines) -> None:
    before, tasks = workers(), asyncio.all_tasks()
    async with asyncio.timeout(20):
        async with Models(GOOD):
            pass
    assert workers() == before
    assert asyncio.all_tasks() == tasks


async def test_who_waits_for_models_that_fail_is_told_why(engines: Engines) -> None:
    async with Models(BAD) as models:
        for _ in range(2):
            with pytest.raises(ServerError, match=r"did not load: .*port") as caught:
                await models.loaded()
            assert (caught.value.status, caught.value.code) == (
                503,
                "models_not_loaded",
            )
        assert models.state == "failed"


async def test_a_server_without_models_says_so_and_stays(engines: Engines) -> None:
    headers = {"Authorization": "Bearer sk-any"}
    settings = BAD.model_copy(update={"port": 0})
    caller = Caller()
    sdp = await offer(caller)
    await caller.close()
    async with serving(settings) as url, httpx.AsyncClient(headers=headers) as client:
        for _ in range(2):
            refused = await client.post(
                f"{url}/realtime/calls",
                content=sdp,
                headers={"Content-Type": "application/sdp"},
            )
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "models_not_loaded"
        minted = await client.post(f"{url}/realtime/client_secrets", json={})
        assert minted.status_code == 200
        health = await client.get(f"{url.removesuffix('/v1')}/healthz")
        assert (health.status_code, health.json()) == (503, {"status": "failed"})
