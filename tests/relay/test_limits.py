from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import CallerError
from offhook.relay.limits import Limits
from offhook.settings import Settings
from tests.media.test_peer import CHROMIUM
from tests.relay.test_bridged import relaying
from tests.relay.test_socket import dialling, far, refusal
from tests.relays import Relay, error_of
from tests.testing.test_conformance import Parrot

if TYPE_CHECKING:
    from tests.relay.test_socket import Far
    from tests.relays import Running

pytestmark = pytest.mark.anyio

__all__ = ["far"]

ONE = {"max_calls_per_caller": 1}


def test_a_caller_has_so_many_places() -> None:
    limits = Limits(calls=10, per_caller=2)
    leave = limits.take("a")
    limits.take("a")
    with pytest.raises(CallerError) as refused:
        limits.take("a")
    assert (refused.value.status, refused.value.retry_after) == (429, "30")
    limits.take("b")
    leave()
    limits.take("a")


def test_there_are_so_many_places() -> None:
    limits = Limits(calls=2, per_caller=2)
    leave = limits.take("a")
    limits.take("b")
    with pytest.raises(CallerError, match="too many calls at once: try"):
        limits.take("c")
    leave()
    limits.take("c")


def test_a_place_is_given_back_once() -> None:
    limits = Limits(calls=2, per_caller=1)
    leave = limits.take("a")
    limits.take("b")
    leave()
    leave()
    assert limits.held == 1
    limits.take("a")
    with pytest.raises(CallerError):
        limits.take("c")


def test_whom_nobody_knows_is_nobodys_twin() -> None:
    limits = Limits(calls=3, per_caller=1)
    for _ in range(3):
        limits.take(None)
    with pytest.raises(CallerError):
        limits.take(None)


async def test_a_direct_call_holds_its_place_until_it_is_hung_up(
    running: Running,
) -> None:
    async with running({"support": {}}, **ONE) as relay:
        grant, other = await relay.grant(), await relay.grant()
        called = await relay.call(grant)
        refused = await relay.call(other)
        error_of(refused, 429, "rate_limit_exceeded")
        assert refused.headers["retry-after"] == "30"
        hung_up = await relay.client.post(
            called.headers["location"] + "/hangup",
            headers={"Authorization": f"Bearer {grant}"},
        )
        assert hung_up.status_code == 200
        # Who was refused has not spent its grant.
        assert (await relay.call(other)).status_code == 201


async def test_a_direct_call_that_nobody_hangs_up_ends_with_its_time(
    running: Running,
) -> None:
    async with running({"support": {}}, session_seconds=0.3, **ONE) as relay:
        assert (await relay.call(await relay.grant())).status_code == 201
        await _until_there_is_room(relay)


async def test_a_call_that_failed_holds_no_place(
    running: Running, recorder: Any
) -> None:
    async with running({"support": {}}, **ONE) as relay:
        recorder.fail(500)
        assert (await relay.call(await relay.grant())).status_code == 502
        recorder.reply = None
        assert (await relay.call(await relay.grant())).status_code == 201


async def test_a_session_over_websocket_holds_its_place_until_it_is_closed(
    running: Running, far: Far
) -> None:
    async with running({"support": {}}, upstream=far.url, **ONE) as relay:
        key = await relay.grant()
        async with dialling(relay, await relay.grant()):
            status, error = await refusal(dialling(relay, key))
            assert (status, error["code"]) == (429, "rate_limit_exceeded")
            error_of(await relay.call(key), 429, "rate_limit_exceeded")
        await _until_there_is_room(relay)


async def test_a_bridged_call_costs_nothing_before_its_caller_has_checked_in(
    local_url: str,
) -> None:
    connected = list[str]()

    class Counting(Parrot):
        async def connect(self, **_: Any) -> None:
            connected.append("connected")

    settings = Settings.load(upstream=local_url, max_calls_per_caller=1)
    options = {"settings": settings, "transport": lambda _: Counting()}
    async with relaying(local_url, **options) as relay:
        grant = await relay.grant()
        called = await relay.call(grant, CHROMIUM.encode())
        assert called.status_code == 201
        error_of(await relay.call(await relay.grant()), 429, "rate_limit_exceeded")
        headers = {"Authorization": f"Bearer {grant}"}
        await relay.client.post(called.headers["location"] + "/hangup", headers=headers)
        await _until_there_is_room(relay)
    assert connected == []


async def _until_there_is_room(relay: Relay) -> None:
    key = await relay.grant()
    async with asyncio.timeout(10):
        while (await relay.call(key)).status_code == 429:
            pass
