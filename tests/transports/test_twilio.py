from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import InvalidRequest, UpstreamError
from offhook.testing.conformance import TransportConformance
from offhook.testing.scripted import ScriptedRealtimeTransport
from offhook.transports import twilio
from offhook.transports.twilio import TwilioRealtimeTransportLayer
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from tests.phone import Handset, Phone, line, to_ulaw
from tests.transports.conformance import (
    HEARD,
    TEXT,
    Conformance,
    got,
    scripted,
    upcoming,
)
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from websockets.asyncio.server import ServerConnection

    from offhook.speech import Engines
    from offhook.transports.base import RealtimeTransportLayer
    from tests.transports.conformance import Make, Scripted, Server

    Line = tuple[ServerConnection, Phone]

pytestmark = pytest.mark.anyio


@pytest.fixture
async def called() -> AsyncIterator[Line]:
    async with line() as (socket, phone):
        yield socket, phone


def around(socket: ServerConnection, url: str) -> TwilioRealtimeTransportLayer:
    if url.startswith("http"):
        url = url.replace("http", "ws", 1) + "/realtime?model=gpt-realtime"
    return TwilioRealtimeTransportLayer(socket, url=url, api_key="sk-any")


class TestTwilio(Conformance):
    @pytest.fixture
    async def make(self, called: Line) -> Make:
        socket, self.phone = called
        await self.phone.start()
        return lambda url: around(socket, url)

    async def test_audio_goes_in_and_comes_out(
        self,
        client: RealtimeTransportLayer,
        engines: Engines,
        speak: Callable[[str], Awaitable[bytes]],
    ) -> None:
        phone = self.phone
        spoken, done = list[str](), upcoming(client, "turn_done")
        kind = "conversation.item.input_audio_transcription.completed"
        asked = upcoming(client, kind)
        client.on("audio_transcript_delta", lambda event: spoken.append(event.delta))
        await client.connect(initial_session_config=HEARD)
        await phone.say(to_ulaw(await speak("What is seven times eight?")))
        await phone.say(b"\xff" * 8000)
        assert (await got(done)).status == "completed"
        assert "seven times eight" in (await got(asked))["transcript"].lower()
        assert "56" in "".join(spoken)
        await phone.until("mark")
        while await phone.play() == 0 or "56" not in await heard(phone, engines):
            await phone.until("mark")

    async def test_everything_comes_raw(self, client: RealtimeTransportLayer) -> None:
        raw = client.stream("*")
        done = upcoming(client, "response.done")
        await client.connect(initial_session_config=TEXT)
        client.send_message("What is two plus two?")
        await got(done)
        await client.close()
        events = [event async for event in raw]
        types = [event["type"] for event in events]
        assert types[:2] == ["twilio_message"] * 2
        told = [event["message"]["event"] for event in events[:2]]
        assert told == ["connected", "start"]
        assert types[2:4] == ["session.created", "session.updated"]
        assert "response.done" in types

    # A telephone that was hung up on cannot be connected again.

    async def test_closing_is_idempotent(self, client: RealtimeTransportLayer) -> None:
        ended: list[None] = []
        client.on("disconnected", lambda: ended.append(None))
        await client.connect()
        await asyncio.gather(client.close(), client.close())
        await client.close()
        assert len(ended) == 1
        await is_over(client)

    async def test_closing_ends_a_connect(self, client: RealtimeTransportLayer) -> None:
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(InvalidRequest, match="before it had connected"):
            await got(connecting)
        await is_over(client)

    async def test_closing_while_the_key_is_fetched_ends_a_connect(
        self, client: RealtimeTransportLayer
    ) -> None:
        asked = asyncio.Event()
        slow: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def key() -> str:
            asked.set()
            return await slow

        connecting = asyncio.create_task(client.connect(api_key=key))
        await got(asked.wait())
        await client.close()
        with pytest.raises(InvalidRequest, match="before it had connected"):
            await got(connecting)
        await is_over(client)

    async def test_an_answer_that_never_ends_can_be_left(
        self, make: Make, scripted: Scripted
    ) -> None:
        got_it: asyncio.Queue[str] = asyncio.Queue()

        async def script(connection: Server) -> None:
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


class TestAsAnyTransport(TransportConformance):
    cycles = 100

    @pytest.fixture
    def make(self, local_url: str) -> Callable[[], RealtimeTransportLayer]:
        url = local_url.replace("http", "ws", 1) + "/realtime?model=gpt-realtime"
        return lambda: TwilioRealtimeTransportLayer(Handset(), url=url, api_key="any")

    # A telephone that was hung up on cannot be connected again.

    async def test_it_can_be_closed_at_any_time(
        self, transport: RealtimeTransportLayer
    ) -> None:
        await transport.close()
        await is_over(transport)

    async def test_it_connects_again_with_the_same_listeners(
        self, transport: RealtimeTransportLayer
    ) -> None:
        await transport.connect()
        await transport.close()
        await is_over(transport)

    async def test_closing_ends_a_connect(
        self, transport: RealtimeTransportLayer
    ) -> None:
        connecting = asyncio.create_task(transport.connect())
        await asyncio.sleep(0)
        await transport.close()
        with pytest.raises(InvalidRequest, match="before it had connected"):
            await connecting
        await is_over(transport)

    async def test_connections_leave_nothing(
        self, make: Callable[[], RealtimeTransportLayer]
    ) -> None:
        before = asyncio.all_tasks()
        for _ in range(self.cycles):
            transport = make()
            await transport.connect()
            await transport.close()
        await self._none(lambda: asyncio.all_tasks() - before)


async def heard(phone: Phone, engines: Engines) -> str:
    return plain(await engines.recognise(phone.pcm()))


async def is_over(client: RealtimeTransportLayer) -> None:
    with pytest.raises(UpstreamError, match="call is over"):
        await client.connect()
    assert client.status == "disconnected"


async def idle(connection: ServerConnection) -> None:
    await connection.wait_closed()


async def test_who_hangs_up_hangs_up_the_model(called: Line) -> None:
    socket, phone = called
    left = asyncio.Event()

    async def script(connection: ServerConnection) -> None:
        await connection.wait_closed()
        left.set()

    async with scripted(script) as url, around(socket, url) as client:
        errors: list[Any] = []
        client.on("error", errors.append)
        ended, raw = upcoming(client, "disconnected"), client.stream("*")
        await phone.start()
        await client.connect()
        await phone.hang_up()
        await got(ended)
        await got(left.wait())
        told = [event["message"]["event"] async for event in raw]
        assert told == ["connected", "start", "stop"]
        await is_over(client)
        assert errors == []


async def test_a_stop_is_enough(called: Line) -> None:
    socket, phone = called
    async with scripted(idle) as url, around(socket, url) as client:
        ended = upcoming(client, "disconnected")
        await phone.start()
        await client.connect()
        await phone.send("stop", stop={"callSid": "CA1"})
        await got(ended)
        await got(phone.socket.wait_closed())


async def test_what_is_heard_after_a_second_attempt_is_heard_once(
    called: Line,
) -> None:
    socket, phone = called
    inside = ScriptedRealtimeTransport(reported=True)
    inside.refuse(UpstreamError("not now"))
    await phone.start()
    async with TwilioRealtimeTransportLayer(socket, transport=inside) as client:
        with pytest.raises(UpstreamError, match="not now"):
            await client.connect()
        await client.connect()
        for _ in range(2):
            await inside.respond("Hello.", audio=bytes(800))
        names = [(await phone.until("mark"))["mark"]["name"] for _ in range(2)]
        assert [name.partition(":")[2] for name in names] == ["0:800:g1"] * 2
        assert names[0] != names[1]


@pytest.mark.parametrize("code", [1000, 1011])
async def test_a_model_that_leaves_hangs_up_the_phone(called: Line, code: int) -> None:
    socket, phone = called

    async def script(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.close(code)

    async with scripted(script) as url, around(socket, url) as client:
        client.on("error", lambda _: None)
        await phone.start()
        await client.connect()
        await got(phone.socket.wait_closed())
        assert phone.socket.close_code == 1000
        await got(asyncio.gather(client.close(), client.close()))


async def test_a_lost_connection_to_twilio_is_told(called: Line) -> None:
    socket, phone = called
    async with scripted(idle) as url, around(socket, url) as client:
        failed, ended = upcoming(client, "error"), upcoming(client, "disconnected")
        await phone.start()
        await client.connect()
        phone.socket.transport.abort()
        assert (await got(failed)).error.close_code == 1006
        await got(ended)


async def test_who_hangs_up_at_once_is_not_connected(called: Line) -> None:
    socket, phone = called
    async with scripted(idle) as url, around(socket, url) as client:
        connecting = asyncio.create_task(client.connect())
        await phone.socket.close()
        with pytest.raises(UpstreamError, match="call is over"):
            await got(connecting)


async def test_who_hangs_up_while_it_connects_is_not_connected(called: Line) -> None:
    socket, phone = called
    asked = asyncio.Event()

    async def key() -> str:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with scripted(idle) as url, around(socket, url) as client:
        await phone.start()
        connecting = asyncio.create_task(client.connect(api_key=key))
        await got(asked.wait())
        await phone.hang_up()
        with pytest.raises(UpstreamError, match="call is over"):
            await got(connecting)
        assert client.status == "disconnected"


async def test_a_stream_that_does_not_start_is_given_up(
    called: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket, phone = called
    monkeypatch.setattr(twilio, "_START_SECONDS", 0.02)
    async with scripted(idle) as url, around(socket, url) as client:
        with pytest.raises(UpstreamError, match="did not start a stream") as caught:
            await client.connect()
        assert caught.value.status == 504
        # The caller is still there: another attempt may succeed.
        monkeypatch.undo()
        await phone.start({"topic": "orders"})
        await client.connect()
        assert client.started
        assert (client.started.call_sid, client.started.stream_sid) == ("CA1", "MZ1")
        assert client.started.parameters == {"topic": "orders"}


async def test_it_connects_once(called: Line) -> None:
    socket, phone = called
    await phone.start()
    async with scripted(idle) as url, around(socket, url) as client:
        await client.connect()
        with pytest.raises(InvalidRequest, match="close it first"):
            await client.connect()
        assert client.muted is None


async def test_the_model_may_speak_first(called: Line) -> None:
    socket, phone = called
    inside = ScriptedRealtimeTransport(reported=True)
    async with TwilioRealtimeTransportLayer(socket, transport=inside) as client:
        client.once("connected", client.request_response)
        await phone.start()
        await client.connect()
        await inside.expect("response.create")
        assert next(event["type"] for event in inside.sent) == "session.update"


async def test_keys_are_told(called: Line) -> None:
    socket, phone = called
    async with scripted(idle) as url, around(socket, url) as client:
        digits = client.stream("dtmf")
        await phone.start()
        await client.connect()
        for digit in "1#":
            await phone.press(digit)
        assert [await got(anext(digits)) for _ in range(2)] == ["1", "#"]


async def test_a_tool_that_runs_is_ended_with_the_call(called: Line) -> None:
    socket, phone = called
    running, ended = asyncio.Event(), asyncio.Event()

    async def script(connection: ServerConnection) -> None:
        await connection.send('{"type": "work"}')
        await connection.wait_closed()

    async def tool(_: object) -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with scripted(script) as url, around(socket, url) as client:
        client.on("work", tool)
        await phone.start()
        await client.connect()
        await got(running.wait())
        await phone.hang_up()
        await got(ended.wait())


async def test_a_listener_can_leave(called: Line) -> None:
    socket, phone = called
    async with scripted(idle) as url, around(socket, url) as client:
        told: list[Any] = []
        client.on("dtmf", told.append).once("dtmf", told.append)
        client.off("dtmf", told.append)
        await phone.start()
        await client.connect()
        again = client.stream("dtmf")
        await phone.press("1")
        await got(anext(again))
        assert told == ["1"]


@pytest.mark.parametrize("wrong", [0, -1, math.nan, math.inf, 2**31])
async def test_a_timeout_that_is_none_is_refused(called: Line, wrong: float) -> None:
    with pytest.raises(InvalidRequest, match="above 0"):
        TwilioRealtimeTransportLayer(called[0], input_audio_inactivity_timeout_ms=wrong)


async def test_options_belong_to_the_transport_inside(called: Line) -> None:
    inside = OpenAIRealtimeWebSocket()
    with pytest.raises(InvalidRequest, match="api_key, model to the transport inside"):
        TwilioRealtimeTransportLayer(
            called[0], transport=inside, model="gpt-realtime", api_key="sk-any"
        )
