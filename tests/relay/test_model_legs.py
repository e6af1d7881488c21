from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import NotFound, UpstreamError
from offhook.relay import model_legs
from offhook.relay.model_legs import own_leg, socket_leg, webrtc_leg
from offhook.upstream.base import Opened
from offhook.upstream.openai import OpenAIUpstream
from offhook.wire.memory import pair
from tests.testing.test_conformance import Parrot
from tests.transports.conformance import got, upcoming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

pytestmark = pytest.mark.anyio


class Ended(OpenAIUpstream):
    """An upstream that notes who hangs up on it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.hung_up: list[str] = []

    async def hang_up(self, call_id: str) -> None:
        self.hung_up.append(call_id)
        raise NotFound("it has ended by itself")


async def test_a_leg_over_webrtc_is_hung_up_on_at_the_upstream_too(
    local_url: str,
) -> None:
    upstream = Ended(local_url)
    leg = webrtc_leg(upstream, {"type": "realtime", "instructions": "Be brief."})
    created = upcoming(leg.transport, "session.created")
    await leg.connect()
    assert (await got(created))["session"]["instructions"] == "Be brief."
    assert leg.speaks_realtime
    await leg.close()
    await leg.close()
    assert len(upstream.hung_up) >= 1
    assert leg.transport.status == "disconnected"
    await upstream.aclose()


@pytest.mark.parametrize("answers", [True, False])
async def test_an_upstream_that_does_not_hang_up_holds_nobody_up(
    answers: bool,
    local_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(model_legs, "_FAREWELL_SECONDS", 0.05)

    class Stubborn(OpenAIUpstream):
        async def hang_up(self, call_id: str) -> None:
            if answers:
                raise UpstreamError("It will not.", code="upstream_failed")
            await asyncio.Event().wait()

    upstream = Stubborn(local_url)
    leg = webrtc_leg(upstream, {"type": "realtime"})
    await leg.connect()
    async with asyncio.timeout(5):
        await leg.close()
    assert "was not hung up" in caplog.text
    await upstream.aclose()


async def test_a_leg_over_websocket_begins_with_what_the_session_is() -> None:
    near, far = pair()

    class Fixed:
        @asynccontextmanager
        async def connect(self, session: Mapping[str, Any]) -> AsyncIterator[Opened]:
            yield Opened(near, {"id": "sess_1", **session})

    upstream: Any = Fixed()
    leg = socket_leg(upstream, {"model": "m"})
    created = upcoming(leg.transport, "session.created")
    await leg.connect()
    assert (await got(created))["session"] == {"id": "sess_1", "model": "m"}
    leg.transport.request_response()
    assert "response.create" in await got(far.receive())
    await leg.close()


async def test_a_leg_of_ones_own_gets_the_session() -> None:
    asked: list[Any] = []

    class Asked(Parrot):
        async def connect(self, **options: Any) -> None:
            asked.append(options)

    leg = own_leg(Asked(), {"instructions": "Sing."})
    assert not leg.speaks_realtime
    await leg.connect()
    assert asked == [{"initial_session_config": {"instructions": "Sing."}}]
    await leg.close()
