from __future__ import annotations

import asyncio
from typing import Any

import pytest

from offhook.errors import HandshakeRefused
from offhook.protocol.reconnect import Reconnect
from offhook.testing import ScriptedRealtimeTransport
from tests.official import problems
from tests.official_order import disorder

pytestmark = pytest.mark.anyio


async def connected(**options: Any) -> ScriptedRealtimeTransport:
    transport = ScriptedRealtimeTransport(**options)
    await transport.connect()
    return transport


async def test_a_test_is_the_server() -> None:
    async with await connected() as transport:
        words, turns = list[str](), list[Any]()
        transport.on("audio_transcript_delta", lambda event: words.append(event.delta))
        transport.on("turn_done", turns.append)
        transport.send_message("Hello?")
        await transport.expect("conversation.item.create", item={"role": "user"})
        await transport.expect("response.create")
        await transport.respond("Hello!", audio=bytes(4800))
        assert words == ["Hello!"]
        assert [turn.status for turn in turns] == ["completed"]
        assert [item["role"] for item in transport.history] == ["assistant"]
        types = [event["type"] for event in transport.sent]
        assert types[0] == "session.update"
        assert types[-1] == "response.create"


async def test_a_function_is_called_and_its_output_expected() -> None:
    async with await connected() as transport:
        calls: list[Any] = []
        transport.on("function_call", calls.append)
        call_id = await transport.call_function("look", {"where": "here"})
        [call] = calls
        assert (call.call_id, call.arguments) == (call_id, '{"where": "here"}')
        transport.send_function_call_output(call, "Nothing.")
        output = {"call_id": call_id, "output": "Nothing."}
        await transport.expect("conversation.item.create", item=output)


async def test_what_is_told_is_what_a_server_tells() -> None:
    async with await connected() as transport:
        events: list[dict[str, Any]] = []
        transport.on("*", events.append)
        await transport.respond("Hello!", audio=bytes(4800))
        await transport.respond("Hello.")
        await transport.call_function("look", {})
        assert [problem for event in events for problem in problems(event)] == []
        assert disorder(events) == []


async def test_an_expectation_that_fails_says_what_came_instead() -> None:
    async with await connected() as transport:
        transport.send_message("Hello?")
        with pytest.raises(AssertionError, match="does not say"):
            await transport.expect("conversation.item.create", item={"role": "system"})
        await transport.close()
        with pytest.raises(AssertionError, match=r"no response.cancel came, but \['r"):
            await transport.expect("response.cancel")
    with pytest.raises(AssertionError, match="nothing has connected"):
        await ScriptedRealtimeTransport().expect("any")


async def test_connecting_fails_as_often_as_it_is_told() -> None:
    transport = ScriptedRealtimeTransport()
    transport.refuse(HandshakeRefused("no", http_status=401))
    with pytest.raises(HandshakeRefused):
        await transport.connect()
    await transport.connect()
    await transport.close()


@pytest.mark.parametrize(("code", "fails"), [(1000, 0), (1011, 1)])
async def test_the_server_hangs_up(code: int, fails: int) -> None:
    transport = await connected()
    errors, ended = list[Any](), asyncio.Event()
    transport.on("error", errors.append)
    transport.on("disconnected", ended.set)
    await transport.hang_up(code, "over")
    await asyncio.wait_for(ended.wait(), 10)
    assert len(errors) == fails


async def test_a_lost_connection_comes_back() -> None:
    again = asyncio.Event()
    async with await connected(reconnect=Reconnect(seconds=0)) as transport:
        transport.on("reconnected", lambda _: again.set())
        await transport.hang_up(1012)
        await asyncio.wait_for(again.wait(), 10)
        await transport.expect("session.update")
