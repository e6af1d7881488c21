from __future__ import annotations

import asyncio

import pytest

from offhook.errors import InvalidRequest, ServerError
from offhook.transports.openai import OpenAITransport
from tests.transports.conformance import got
from tests.transports.test_connection import Far

pytestmark = pytest.mark.anyio


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
    other = OpenAITransport(far.open, api_key="sk-other", url="ws://own/v1?model=m")
    await other.connect()
    await other.close()
    await other.connect(call_id="rtc_2")
    await other.close()
    assert far.asked == [
        (f"{base}?model=gpt-realtime", "sk-first"),
        (f"{base}?call_id=rtc_1", "sk-second"),
        ("ws://elsewhere/v1", "sk-first"),
        ("ws://own/v1?model=m", "sk-other"),
        ("ws://own/v1?call_id=rtc_2", "sk-other"),
    ]


async def test_without_a_key_nothing_is_opened() -> None:
    far = Far()
    client = OpenAITransport(far.open)
    with pytest.raises(InvalidRequest, match="no API key"):
        await client.connect()
    assert client.status == "disconnected"
    assert far.asked == []


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
