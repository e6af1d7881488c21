"""What every transport does: the suite that each one's tests inherit."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from websockets.asyncio.server import serve

from offhook.errors import InvalidRequest, UpstreamError, WireClosed
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from offhook.speech import Engines
    from offhook.transports.base import RealtimeTransportLayer

    # Runs a server that does what a script says with each connection; gives its URL.
    Scripted = Callable[
        [Callable[["Server"], Awaitable[None]]], AbstractAsyncContextManager[str]
    ]

    # Makes a transport to a URL, with a key.
    Make = Callable[[str], RealtimeTransportLayer]

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
TEXT = {"outputModalities": ["text"]}
HEARD = {"audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}}}
UPDATED = '{"type": "session.updated", "session": {}}'
MALFORMED = (
    "no JSON",
    "[]",
    '{"no": "type"}',
    '{"type": 7}',
    '{"type": "response.created"}',
    '{"type": "response.output_audio.delta", "delta": "%"}',
)


def upcoming(client: RealtimeTransportLayer, name: str) -> asyncio.Future[Any]:
    """Catch the next event of a name."""
    arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    client.once(name, lambda *args: arrived.set_result(args[0] if args else None))
    return arrived


async def got(arriving: Awaitable[Any]) -> Any:
    async with asyncio.timeout(20):
        return await arriving


class Server(Protocol):
    """The server's end of a connection, as a script has it."""

    async def send(self, text: str) -> None: ...

    async def recv(self) -> Any: ...

    def __aiter__(self) -> AsyncIterator[Any]: ...

    async def close(self, code: int = ..., reason: str = ...) -> None: ...

    async def wait_closed(self) -> None: ...


@asynccontextmanager
async def scripted(script: Callable[[Any], Awaitable[None]]) -> AsyncIterator[str]:
    """Script the connections of a WebSocket server."""
    async with serve(
        script,
        "127.0.0.1",
        0,
        # Some clients take no answer for a refusal.
        select_subprotocol=lambda _, offered: next(iter(offered), None),
        close_timeout=0.1,
    ) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"


class Conformance:
    """Tests over the fixture `make`, against `url`: a real endpoint."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def scripted(self) -> Scripted:
        return scripted

    @pytest.fixture
    def url(self, local_url: str) -> str:
        return local_url.replace("http", "ws", 1) + "/realtime?model=gpt-realtime"

    @pytest.fixture
    async def client(
        self, make: Make, url: str
    ) -> AsyncIterator[RealtimeTransportLayer]:
        client = make(url)
        yield client
        await client.close()

    async def test_a_connection_is_told_from_begin_to_end(
        self, client: RealtimeTransportLayer
    ) -> None:
        told: list[str] = []
        client.on("connection_change", told.append)
        client.on("connected", lambda: told.append("(connected)"))
        client.on("disconnected", lambda: told.append("(disconnected)"))
        await client.connect()
        connected = client.status
        await client.close()
        assert (connected, client.status) == ("connected", "disconnected")
        assert told == [
            "connecting",
            "connected",
            "(connected)",
            "disconnected",
            "(disconnected)",
        ]

    async def test_a_message_is_answered(self, client: RealtimeTransportLayer) -> None:
        done, words = upcoming(client, "turn_done"), list[str]()
        client.on("output_text_delta", lambda event: words.append(event.delta))
        await client.connect(initial_session_config=TEXT)
        client.send_message("What is seven times eight?")
        assert (await got(done)).status == "completed"
        assert "".join(words) == "7 times 8 is 56."

    async def test_audio_goes_in_and_comes_out(
        self,
        client: RealtimeTransportLayer,
        engines: Engines,
        speak: Callable[[str], Awaitable[bytes]],
    ) -> None:
        heard, spoken = list[bytes](), list[str]()
        done, kind = upcoming(client, "turn_done"), "input_audio_transcription"
        asked = upcoming(client, f"conversation.item.{kind}.completed")
        client.on("audio", lambda event: heard.append(event.data))
        client.on("audio_transcript_delta", lambda event: spoken.append(event.delta))
        await client.connect(initial_session_config=HEARD)
        client.send_audio(await speak("What is seven times eight?"))
        client.send_audio(bytes(48_000 * 2))
        await client.drain()
        assert (await got(done)).status == "completed"
        assert "seven times eight" in (await got(asked))["transcript"].lower()
        assert "56" in "".join(spoken)
        assert "56" in plain(await engines.recognise(b"".join(heard)))

    async def test_a_function_is_called(self, client: RealtimeTransportLayer) -> None:
        calling = upcoming(client, "function_call")
        await client.connect(initial_session_config={"tools": [WEATHER], **TEXT})
        client.send_message("What's the weather in Paris?")
        call = await got(calling)
        assert (call.name, call.arguments) == ("get_weather", '{"city": "Paris"}')
        delta = upcoming(client, "output_text_delta")
        client.send_function_call_output(call, "It rains.")
        assert (await got(delta)).delta == "It rains."

    async def test_an_answer_is_interrupted(
        self, client: RealtimeTransportLayer
    ) -> None:
        audio, interrupted, cut = (
            upcoming(client, name)
            for name in ("audio", "audio_interrupted", "conversation.item.truncated")
        )
        await client.connect()
        client.send_message("Please count from one to twenty.")
        item = (await got(audio)).item_id
        client.interrupt()
        assert (await got(interrupted)).item_id == item
        assert (await got(cut))["item_id"] == item

    async def test_everything_comes_raw(self, client: RealtimeTransportLayer) -> None:
        raw = client.stream("*")
        done = upcoming(client, "response.done")
        await client.connect(initial_session_config=TEXT)
        client.send_message("What is two plus two?")
        await got(done)
        await client.close()
        types = [event["type"] async for event in raw]
        assert types[:2] == ["session.created", "session.updated"]
        assert "response.done" in types

    async def test_an_event_goes_as_it_is(self, client: RealtimeTransportLayer) -> None:
        refused = upcoming(client, "error")
        await client.connect()
        client.send_event({"type": "no.such.event", "event_id": "mine"})
        assert (await got(refused)).event_id == "mine"

    async def test_what_is_malformed_breaks_nothing(
        self, make: Make, scripted: Scripted
    ) -> None:
        async def script(connection: Server) -> None:
            for text in (UPDATED, *MALFORMED, '{"type": "the.last"}'):
                await connection.send(text)
            await connection.wait_closed()

        async with scripted(script) as url:
            client = make(url)
            errors: list[Any] = []
            client.on("error", errors.append)
            last = upcoming(client, "the.last")
            await client.connect()
            await got(last)
            assert client.status == "connected"
            assert len(errors) == 2
            await client.close()

    @pytest.mark.parametrize(("code", "fails"), [(1000, 0), (1001, 0), (1011, 1)])
    async def test_the_server_closes(
        self, make: Make, scripted: Scripted, code: int, fails: int
    ) -> None:
        async def script(connection: Server) -> None:
            await connection.recv()
            await connection.send(UPDATED)
            await connection.close(code, "had enough")

        async with scripted(script) as url:
            client = make(url)
            errors: list[Any] = []
            client.on("error", errors.append)
            ended = upcoming(client, "disconnected")
            await client.connect()
            await got(ended)
            assert client.status == "disconnected"
            assert len(errors) == fails
            for failure in errors:
                assert isinstance(failure.error, WireClosed)
                assert failure.error.reason == "had enough"
            with pytest.raises(InvalidRequest, match="not connected"):
                client.send_message("Hello?")
            await client.close()

    async def test_an_answer_that_never_ends_can_be_left(
        self, make: Make, scripted: Scripted
    ) -> None:
        got_it: asyncio.Queue[str] = asyncio.Queue()

        async def script(connection: Server) -> None:
            await connection.send(UPDATED)
            async for text in connection:
                got_it.put_nowait(json.loads(text)["type"])

        async with scripted(script) as url:
            client = make(url)
            await client.connect()
            client.request_response()
            await client.drain()
            assert await got(got_it.get()) == "session.update"
            assert await got(got_it.get()) == "response.create"
            await client.close()
            await client.connect()
            client.request_response()
            assert await got(got_it.get()) == "session.update"
            assert await got(got_it.get()) == "response.create"
            await client.close()

    async def test_closing_is_idempotent(self, client: RealtimeTransportLayer) -> None:
        ended: list[None] = []
        client.on("disconnected", lambda: ended.append(None))
        await client.close()
        await client.connect()
        await asyncio.gather(client.close(), client.close())
        await client.close()
        assert len(ended) == 1

    async def test_cancelling_connect_leaves_nothing_behind(
        self, client: RealtimeTransportLayer
    ) -> None:
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(0)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert client.status == "disconnected"
        await client.connect()

    async def test_closing_ends_a_connect(self, client: RealtimeTransportLayer) -> None:
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(InvalidRequest, match="before it had connected"):
            await got(connecting)
        await client.connect()
        assert client.status == "connected"

    async def test_closing_while_the_key_is_fetched_ends_a_connect(
        self, client: RealtimeTransportLayer
    ) -> None:
        slow: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        connecting = asyncio.create_task(client.connect(api_key=lambda: slow))
        await asyncio.sleep(0)
        await client.close()
        await client.connect()
        slow.set_result("sk-late")
        with pytest.raises(InvalidRequest, match="before it had connected"):
            await got(connecting)
        assert client.status == "connected"

    async def test_a_refused_key_can_be_replaced(
        self, client: RealtimeTransportLayer
    ) -> None:
        with pytest.raises(UpstreamError, match=r"\(401\).*unknown") as caught:
            await client.connect(api_key="ek_wrong-key")
        assert getattr(caught.value, "http_status", None) == 401
        assert "wrong-key" not in str(caught.value)
        assert client.status == "disconnected"
        await client.connect()

    async def test_without_a_connection_only_audio_may_go(
        self, client: RealtimeTransportLayer
    ) -> None:
        client.send_audio(b"\0\0")
        await client.drain()
        with pytest.raises(InvalidRequest, match="not connected"):
            client.request_response()
