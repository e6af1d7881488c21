from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import InvalidRequest, ServerError
from offhook.transports.openai import OpenAITransport
from tests.transports.conformance import got
from tests.transports.test_connection import Far

if TYPE_CHECKING:
    from collections.abc import Callable

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


@pytest.mark.parametrize(
    "send",
    [
        lambda c: c.send_message([{"type": "input_text", "text": object()}]),
        lambda c: c.send_message("Hi", {"previous_item_id": float("nan")}),
        lambda c: c.send_message(None),
        lambda c: c.send_message("x" * 30_000_000),
        lambda c: c.add_image(b"x"),
        lambda c: c.send_audio("x"),
        lambda c: c.send_audio(bytes(30_000_000)),
        lambda c: c.request_response({"instructions": object()}),
        lambda c: c.request_response([]),
        lambda c: c.send_event({"type": "response.create", "response": object()}),
        lambda c: c.send_event("response.create"),
        lambda c: c.update_session_config({"instructions": object()}),
        lambda c: c.update_session_config("x"),
        lambda c: c.send_function_call_output(None, "x"),
        lambda c: c.send_function_call_output(SimpleNamespace(call_id="x"), {"a": 1}),
        lambda c: c.reset_history([], [{"item_id": "a"}]),
        lambda c: c.reset_history(
            [], [{"item_id": "a", "type": "message", "content": [{"text": object()}]}]
        ),
        lambda c: c.send_mcp_response(None, True),
    ],
)
async def test_a_send_that_fails_has_no_effect(send: Callable[[Any], None]) -> None:
    far = Far()
    async with OpenAITransport(far.open, api_key="any") as client:
        await client.connect(initial_session_config={"instructions": "Be brief."})
        first = await far.event()
        with pytest.raises((InvalidRequest, ServerError)):
            send(client)
        client.update_session_config({"speed": 1.5})
        client.send_message("Hello")
        sent = [await far.event() for _ in range(3)]
        assert [event["type"] for event in sent] == [
            "session.update",
            "conversation.item.create",
            "response.create",
        ]
        instructions = [e["session"]["instructions"] for e in (first, sent[0])]
        assert instructions == ["Be brief."] * 2


async def test_back_pressure_loses_no_answer() -> None:
    far = Far()
    async with OpenAITransport(far.open, api_key="any") as client:
        await client.connect()
        with pytest.raises(ServerError, match="drain"):
            for _ in range(10_000):
                client.send_audio(bytes(48_000))
        with pytest.raises(ServerError, match="drain"):
            client.send_message("x" * 70_000)
        client.interrupt()
        client.request_response()
        while (event := await far.event())["type"] != "response.create":
            assert event["type"] != "conversation.item.create"


@pytest.mark.parametrize("config", [{"instructions": object()}, {"audio": "x"}, "x"])
async def test_a_configuration_that_cannot_be_sent_is_refused(config: Any) -> None:
    far = Far()
    async with OpenAITransport(far.open, api_key="any") as client:
        with pytest.raises(InvalidRequest):
            await client.connect(initial_session_config=config)
        await client.connect()
        assert (await far.event())["type"] == "session.update"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": ""}, "url is empty"),
        ({"url": 5}, "url has to be a string"),
        ({"api_key": 5}, "api_key has to be a string"),
        ({"api_key": lambda: 5}, "api_key has to give a string"),
    ],
)
async def test_nothing_is_opened_with_wrong_arguments(
    options: dict[str, Any], words: str
) -> None:
    far = Far()
    client = OpenAITransport(far.open, api_key="any")
    with pytest.raises(InvalidRequest, match=words):
        await client.connect(**options)
    assert (far.asked, client.status) == ([], "disconnected")
