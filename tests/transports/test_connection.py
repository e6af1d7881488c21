from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import (
    HandshakeRefused,
    InvalidRequest,
    OffhookError,
    UpstreamError,
    WireClosed,
)
from offhook.protocol.reconnect import Reconnect
from offhook.transports.openai import OpenAITransport
from offhook.wire.memory import pair
from offhook.wire.pushed import Pushed
from tests.transports.conformance import got, upcoming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offhook.wire.base import Wire

pytestmark = pytest.mark.anyio

AT_ONCE = Reconnect(attempts=2, seconds=0.0)


class Far:
    """Opens wires in memory, and has their other ends."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.wires: list[Wire] = []
        self.failures: list[Exception] = []
        self._opened = asyncio.Condition()

    @asynccontextmanager
    async def open(self, url: str, key: str) -> AsyncIterator[Wire]:
        self.asked.append((url, key))
        if self.failures:
            raise self.failures.pop(0)
        near, far = pair()
        self.wires.append(far)
        async with self._opened:
            self._opened.notify_all()
        try:
            yield near
        finally:
            await near.close()

    async def wire(self, number: int) -> Wire:
        async with self._opened, asyncio.timeout(20):
            await self._opened.wait_for(lambda: len(self.wires) > number)
        return self.wires[number]

    async def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(await got(self.wires[-1].receive()))
        return event

    async def tell(self, event: dict[str, Any]) -> None:
        await self.wires[-1].send(json.dumps(event))


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


async def test_whatever_an_opener_raises_connect_raises() -> None:
    far = Far()
    far.failures.append(LookupError("mine"))
    client = OpenAITransport(far.open, api_key="any")
    with pytest.raises(LookupError, match="mine"):
        await got(client.connect())
    assert client.status == "disconnected"


async def test_a_wire_that_ends_before_the_session_is_taken_fails_connect() -> None:
    far = Far()
    client = OpenAITransport(far.open, api_key="any", acknowledge=20)
    connecting = asyncio.create_task(client.connect())
    await (await far.wire(0)).close(1000, "no")
    with pytest.raises(WireClosed):
        await got(connecting)
    assert client.status == "disconnected"


async def test_it_is_connected_when_the_session_is_taken() -> None:
    far, told = Far(), list[str]()
    client = OpenAITransport(far.open, api_key="any", acknowledge=20, coalesce=True)
    client.on("connection_change", told.append)
    client.on("session.updated", lambda _: told.append("updated"))
    connecting = [asyncio.create_task(client.connect()) for _ in range(2)]
    await far.wire(0)
    assert (await far.event())["type"] == "session.update"
    assert told == ["connecting"]
    await far.tell({"type": "session.updated", "session": {}})
    await got(asyncio.gather(*connecting))
    await client.connect()
    assert told == ["connecting", "connected", "updated"]
    assert len(far.wires) == 1
    await client.close()


async def test_a_server_that_never_takes_the_session_is_not_waited_for_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = OpenAITransport(Far().open, api_key="any", acknowledge=0.0)
    await got(client.connect())
    assert "did not take the session" in caplog.text
    await client.close()


async def test_a_sideband_without_a_configuration_leaves_the_calls() -> None:
    far = Far()
    client = OpenAITransport(far.open, api_key="any", acknowledge=20)
    await got(client.connect(call_id="rtc_1"))
    client.request_response()
    assert (await far.event())["type"] == "response.create"
    await client.close()


async def test_a_configuration_that_is_none_opens_nothing() -> None:
    far = Far()
    client = OpenAITransport(far.open, api_key="any")
    with pytest.raises(Exception, match="audio"):
        await client.connect(initial_session_config={"audio": 7})
    assert far.asked == []
    assert client.status == "disconnected"


def item(item_id: str, role: str, **part: str) -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": role, "content": [part]}


async def filled(far: Far, client: OpenAITransport) -> None:
    """Have a conversation."""
    words = {"type": "output_audio", "transcript": "Hello."}
    call = {"type": "function_call", "id": "item_3", "call_id": "call_1"}
    called = {**call, "name": "look", "arguments": "{}", "status": "completed"}
    known = upcoming(client, "last")
    for wire in (
        item("item_1", "user", type="input_text", text="Hi"),
        item("item_2", "assistant", **words),
        called,
    ):
        await far.tell({"type": "conversation.item.added", "item": wire})
    await far.tell({"type": "last"})
    await got(known)


async def test_a_broken_connection_comes_back_with_all_it_had() -> None:
    far, told = Far(), list[Any]()
    keys = iter(["ek_1", "ek_2"])
    client = OpenAITransport(far.open, api_key=lambda: next(keys), reconnect=AT_ONCE)
    client.on("connection_change", told.append)
    client.on("reconnecting", told.append)
    client.on("disconnected", lambda: told.append("(disconnected)"))
    client.on("error", told.append)
    await client.connect(initial_session_config={"instructions": "Be brief."})
    await filled(far, client)
    again = upcoming(client, "reconnected")
    await far.wires[0].close(1011, "restart")
    assert (await got(again)).attempt == 1
    assert client.status == "connected"
    update = await far.event()
    assert update["type"] == "session.update"
    assert update["session"]["instructions"] == "Be brief."
    created = [(await far.event())["item"] for _ in range(3)]
    assert [(each["id"], each["type"]) for each in created] == [
        ("item_1", "message"),
        ("item_2", "message"),
        ("item_3", "function_call"),
    ]
    assert created[1]["content"] == [{"type": "output_text", "text": "Hello."}]
    client.send_message("Still there?")
    assert (await far.event())["type"] == "conversation.item.create"
    broken = told.pop(3)
    assert (broken.attempt, broken.error.close_code) == (1, 1011)
    assert told == ["connecting", "connected", "connecting", "connected"]
    assert [key for _, key in far.asked] == ["ek_1", "ek_2"]
    await client.close()


async def test_it_tries_as_often_as_it_is_told_and_then_gives_up() -> None:
    far = Far()
    client = OpenAITransport(far.open, api_key="any", reconnect=AT_ONCE)
    failed, ended = upcoming(client, "error"), upcoming(client, "disconnected")
    await client.connect()
    far.failures += [UpstreamError("down"), UpstreamError("still down")]
    await far.wires[0].close(1011)
    assert str((await got(failed)).error) == "still down"
    await got(ended)
    assert len(far.asked) == 3
    await client.connect()
    await client.close()


async def test_a_success_begins_to_count_anew() -> None:
    far = Far()
    client = OpenAITransport(far.open, api_key="any", reconnect=AT_ONCE)
    await client.connect()
    for number in range(4):
        again = upcoming(client, "reconnected")
        await far.wires[number].close(1011)
        assert (await got(again)).attempt == 1
    await client.close()


@pytest.mark.parametrize("code", [1000, 1008])
async def test_an_end_that_was_meant_is_the_end(code: int) -> None:
    far = Far()
    client = OpenAITransport(far.open, api_key="any", reconnect=AT_ONCE)
    ended = upcoming(client, "disconnected")
    await client.connect()
    await far.wires[0].close(code)
    await got(ended)
    assert len(far.asked) == 1


async def test_a_refusal_is_the_end() -> None:
    far = Far()
    client = OpenAITransport(far.open, api_key="any", reconnect=AT_ONCE)
    ended, failed = upcoming(client, "disconnected"), upcoming(client, "error")
    await client.connect()
    far.failures.append(HandshakeRefused("no such key", http_status=401))
    await far.wires[0].close(1011)
    assert (await got(failed)).error.http_status == 401
    await got(ended)


async def test_closing_ends_the_attempts() -> None:
    far = Far()
    patient = Reconnect(seconds=3600, longest=3600)
    client = OpenAITransport(far.open, api_key="any", reconnect=patient)
    trying, ended = upcoming(client, "reconnecting"), upcoming(client, "disconnected")
    await client.connect()
    await far.wires[0].close(1011)
    assert (await got(trying)).seconds >= 1800
    assert client.status == "connecting"
    await client.close()
    await got(ended)
    assert len(far.asked) == 1


def test_it_works_in_one_event_loop_after_another() -> None:
    async def hold(far: Far) -> None:
        await got(client.connect())
        client.request_response()
        assert (await far.event())["type"] == "session.update"
        assert (await far.event())["type"] == "response.create"
        await client.close()

    fars = [Far(), Far()]
    opening = iter(fars)
    client = OpenAITransport(lambda *of: next(opening).open(*of), api_key="any")
    for far in fars:
        asyncio.run(hold(far))


async def test_a_wire_that_fails_unexpectedly_ends_the_connection() -> None:
    async def send(text: str) -> None:
        raise LookupError("mine")

    async def leave() -> None:
        pass

    @asynccontextmanager
    async def opened(url: str, key: str) -> AsyncIterator[Wire]:
        yield Pushed(send, leave)

    client = OpenAITransport(opened, api_key="any")
    failed, ended = upcoming(client, "error"), upcoming(client, "disconnected")
    await client.connect()
    assert isinstance((await got(failed)).error, LookupError)
    await got(ended)
    await client.close()


async def test_a_listener_that_was_cancelled_from_within_harms_nothing() -> None:
    far = Far()
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    gone.cancel()
    async with OpenAITransport(far.open, api_key="any") as client:
        await client.connect()
        client.on("first", lambda _: gone.result())
        second = upcoming(client, "second")
        await far.tell({"type": "first"})
        await far.tell({"type": "second"})
        await got(second)
        assert client.status == "connected"


async def test_a_key_that_was_cancelled_from_within_is_an_error() -> None:
    gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    gone.cancel()

    async def key() -> str:
        return await gone

    client = OpenAITransport(Far().open, api_key=key)
    with pytest.raises(OffhookError, match="cancelled"):
        await got(client.connect())
    assert client.status == "disconnected"


@pytest.mark.parametrize("wrong", [True, 5, Reconnect, "yes"])
def test_reconnect_is_a_policy(wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"Reconnect\(\)"):
        OpenAITransport(Far().open, reconnect=wrong)


async def test_a_policy_that_fails_ends_the_connection() -> None:
    class Failing(Reconnect):
        def worthwhile(self, failure: Exception, attempt: int) -> bool:
            raise LookupError("mine")

    far = Far()
    client = OpenAITransport(far.open, api_key="any", reconnect=Failing())
    failed, ended = upcoming(client, "error"), upcoming(client, "disconnected")
    await client.connect()
    await far.wires[0].close(1011)
    assert isinstance((await got(failed)).error, LookupError)
    await got(ended)
    assert client.status == "disconnected"
