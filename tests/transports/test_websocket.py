from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import InvalidRequest, UpstreamError
from offhook.testing.conformance import TransportConformance
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from tests.transports.conformance import WEATHER, Conformance
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from offhook.speech import Engines
    from tests.transports.conformance import Make

pytestmark = pytest.mark.anyio


class TestWebSocket(Conformance):
    @pytest.fixture
    def make(self) -> Make:
        return lambda url: OpenAIRealtimeWebSocket(url=url, api_key="sk-any")


class TestAsAnyTransport(TransportConformance):
    cycles = 1000

    @pytest.fixture
    def make(self, local_url: str) -> Callable[[], OpenAIRealtimeWebSocket]:
        return lambda: transport(local_url)


def transport(local_url: str) -> OpenAIRealtimeWebSocket:
    url = local_url.replace("http", "ws", 1) + "/realtime?model=gpt-realtime"
    return OpenAIRealtimeWebSocket(url=url, api_key="sk-any")


async def following(client: OpenAIRealtimeWebSocket, name: str) -> Any:
    """Wait for the next event of a name."""
    arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    client.once(name, lambda *args: arrived.set_result(args[0] if args else None))
    async with asyncio.timeout(20):
        return await arrived


async def test_a_spoken_turn(
    local_url: str, engines: Engines, speak: Callable[[str], Awaitable[bytes]]
) -> None:
    heard: list[bytes] = []
    statuses: list[str] = []
    async with transport(local_url) as client:
        client.on("connection_change", statuses.append)
        client.on("audio", lambda event: heard.append(event.data))
        await client.connect(initial_session_config={"voice": "ash"})
        client.send_audio(await speak("What is seven times eight?"))
        client.send_audio(bytes(48_000 * 2))
        done = await following(client, "turn_done")
        assert done.status == "completed"
        said = plain(await engines.recognise(b"".join(heard)))
        assert "56" in said
        roles = [item["role"] for item in client.history]
        assert roles == ["user", "assistant"]
    assert statuses == ["connecting", "connected", "disconnected"]


async def test_a_tool(local_url: str) -> None:
    async with transport(local_url) as client:
        config = {"tools": [WEATHER], "outputModalities": ["text"]}
        await client.connect(initial_session_config=config)
        calling = asyncio.create_task(following(client, "function_call"))
        await asyncio.sleep(0)
        client.send_message("What's the weather in Paris?")
        call = await calling
        assert (call.name, call.arguments) == ("get_weather", '{"city": "Paris"}')
        client.send_function_call_output(call, "It rains.")
        delta = await following(client, "output_text_delta")
        assert delta.delta == "It rains."


async def test_everything_can_be_streamed(local_url: str) -> None:
    async with transport(local_url) as client:
        events = client.stream("*")
        await client.connect()
        async with asyncio.timeout(20):
            async for event in events:
                if event["type"] == "session.updated":
                    break
        await events.aclose()


async def test_a_key_may_come_from_a_function(local_url: str) -> None:
    async def key() -> str:
        return "sk-later"

    async with transport(local_url) as client:
        await client.connect(api_key=key)
        assert client.status == "connected"
        with pytest.raises(InvalidRequest, match="close it first"):
            await client.connect()


async def test_without_a_connection_nothing_can_be_sent(local_url: str) -> None:
    client = transport(local_url)
    with pytest.raises(InvalidRequest, match="not connected"):
        client.send_message("Hello")
    client.send_audio(b"\0\0")
    with pytest.raises(InvalidRequest, match="no microphone"):
        client.mute(True)
    await client.close()


async def test_a_refusal_leaves_a_transport_that_can_try_again(local_url: str) -> None:
    errors: list[Any] = []
    async with transport(local_url) as client:
        client.on("error", errors.append)
        with pytest.raises(UpstreamError, match="secret is unknown"):
            await client.connect(api_key="ek_unknown")
        assert client.status == "disconnected"
        await client.connect()
        await following(client, "session.updated")
    assert errors == []


async def test_the_end_of_a_session_is_told(local_url: str) -> None:
    async with transport(local_url) as client:
        await client.connect()
        ending = asyncio.create_task(following(client, "disconnected"))
        await asyncio.sleep(0)
        await client.close()
        await ending
        assert client.status == "disconnected"


async def test_cancelling_connect_leaves_nothing_behind(local_url: str) -> None:
    async with transport(local_url) as client:
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(0)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert client.status == "disconnected"
        await client.connect()
        client.send_message("What is two plus two?")
        assert (await following(client, "turn_done")).status == "completed"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_size": "a"}, "max_size"),
        ({"open_timeout": 0}, "open_timeout"),
        ({"headers": "x"}, "headers"),
        ({"api_key": 5}, "api_key"),
        ({"url": ""}, "url is empty"),
    ],
)
def test_an_argument_of_another_kind_is_refused(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        OpenAIRealtimeWebSocket(**options)


@pytest.mark.parametrize("name", ["apikey", "timeout"])
def test_an_option_that_there_is_not_is_a_type_error(name: str) -> None:
    options: dict[str, Any] = {name: "x"}
    with pytest.raises(TypeError, match=name):
        OpenAIRealtimeWebSocket(**options)
