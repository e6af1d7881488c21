from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import InvalidRequest, ServerError
from offhook.transports.openai import OpenAITransport
from offhook.wire.memory import pair
from tests.transports.conformance import got, upcoming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offhook.wire.base import Wire

pytestmark = pytest.mark.anyio


class Far:
    """Opens wires in memory, and has their other ends."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.wires: list[Wire] = []

    @asynccontextmanager
    async def open(self, url: str, key: str) -> AsyncIterator[Wire]:
        self.asked.append((url, key))
        near, far = pair()
        self.wires.append(far)
        try:
            yield near
        finally:
            await near.close()

    async def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(await got(self.wires[-1].receive()))
        return event


async def test_a_url_and_a_key_go_to_the_opener() -> None:
    far = Far()
    base = "wss://api.openai.com/v1/realtime"
    client = OpenAITransport(far.open, api_key="sk-first", model="gpt-realtime")
    await client.connect()
    await client.close()
    await client.connect(api_key=lambda: "sk-second", call_id="rtc_1")
    await client.close()
    await client.connect(url="ws://elsewhere/v1")
    await client.close()
    assert far.asked == [
        (f"{base}?model=gpt-realtime", "sk-first"),
        (f"{base}?call_id=rtc_1", "sk-second"),
        ("ws://elsewhere/v1", "sk-first"),
    ]


async def test_without_a_key_nothing_is_opened() -> None:
    far = Far()
    client = OpenAITransport(far.open)
    with pytest.raises(InvalidRequest, match="no API key"):
        await client.connect()
    assert client.status == "disconnected"
    assert far.asked == []


async def test_whatever_an_opener_raises_connect_raises() -> None:
    @asynccontextmanager
    async def broken(url: str, key: str) -> AsyncIterator[Wire]:
        raise LookupError(url)
        yield pair()[0]

    client = OpenAITransport(broken, api_key="any")
    with pytest.raises(LookupError):
        await got(client.connect())
    assert client.status == "disconnected"


async def test_a_connection_that_breaks_is_told() -> None:
    far = Far()
    client = OpenAITransport(far.open, api_key="any")
    failed, ended = upcoming(client, "error"), upcoming(client, "disconnected")
    await client.connect()
    assert (await far.event())["type"] == "session.update"
    await far.wires[0].close(1011, "broken")
    assert (await got(failed)).error.close_code == 1011
    await got(ended)
    assert client.status == "disconnected"
    await client.close()


async def test_draining_waits_for_who_reads_slowly() -> None:
    far = Far()
    client = OpenAITransport(far.open, api_key="any")
    await client.connect()
    for number in range(300):
        client.send_event({"type": "any", "number": number})
    draining = asyncio.create_task(client.drain())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.shield(draining)
    assert (await far.event())["type"] == "session.update"
    assert [(await far.event())["number"] for _ in range(300)] == [*range(300)]
    await got(draining)
    await client.close()


async def test_too_much_unsent_is_refused() -> None:
    far = Far()
    client = OpenAITransport(far.open, api_key="any")
    await client.connect()
    with pytest.raises(ServerError, match="drain"):
        for _ in range(8):
            client.send_audio(bytes(3 * 2**20))
    await client.close()
