from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import InvalidRequest
from offhook.testing.scripted import ScriptedRealtimeTransport
from offhook.transports.emitter import Emitter
from offhook.transports.telephone import Telephone
from offhook.transports.twilio import TwilioRealtimeTransportLayer
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from offhook.wire.memory import pair
from tests.phone import Phone, line, to_ulaw
from tests.transports.conformance import got, scripted, upcoming
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from websockets.asyncio.server import ServerConnection

    from offhook.speech import Engines

pytestmark = pytest.mark.anyio

PCM = {"type": "audio/pcm", "rate": 24000}
ULAW = {"type": "audio/pcmu"}
ALAW = {"type": "audio/pcma"}


class Model:
    """The model's end of a session: it says what the test says."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection

    async def send(self, kind: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str) -> dict[str, Any]:
        """Wait for a client event of a type."""
        async with asyncio.timeout(20):
            while True:
                event: dict[str, Any] = json.loads(await self.connection.recv())
                if event["type"] == kind:
                    return event

    async def begin(self, response: str = "resp_1", format_: Any = ULAW) -> None:
        audio = {"output": {"format": format_}}
        await self.send("response.created", response={"id": response, "audio": audio})

    async def say(self, item: str, audio: bytes, response: str = "resp_1") -> None:
        place = {"response_id": response, "item_id": item, "content_index": 0}
        delta = base64.b64encode(audio).decode()
        await self.send("response.output_audio.delta", delta=delta, **place)

    async def finish(self, item: str, response: str = "resp_1") -> None:
        place = {"response_id": response, "item_id": item, "content_index": 0}
        await self.send("response.output_audio.done", **place)
        done = {"id": response, "status": "completed", "output": []}
        await self.send("response.done", response=done)

    async def barge_in(self) -> None:
        """Hear the caller, as a server does that cancels by itself."""
        detection = {"type": "server_vad", "interrupt_response": True}
        session = {"audio": {"input": {"turn_detection": detection}}}
        await self.send("session.updated", session=session)
        await self.send("input_audio_buffer.speech_started")

    async def cuts(self, count: int) -> list[tuple[str, int]]:
        """Wait for so many truncations, and then for nothing more."""
        events = [await self.until("conversation.item.truncate") for _ in range(count)]
        return [(event["item_id"], event["audio_end_ms"]) for event in events]


@asynccontextmanager
async def talking(
    config: dict[str, Any] | None = None,
    make: Callable[[str], OpenAIRealtimeWebSocket] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Phone, Model, TwilioRealtimeTransportLayer]]:
    """A call between a telephone and a model, connected."""
    accepted: asyncio.Future[ServerConnection]
    accepted = asyncio.get_running_loop().create_future()

    async def script(connection: ServerConnection) -> None:
        accepted.set_result(connection)
        await connection.wait_closed()

    async with line() as (socket, phone), scripted(script) as url:
        if make:
            options |= {"transport": make(url)}
        else:
            options |= {"url": url, "api_key": "sk-any"}
        async with TwilioRealtimeTransportLayer(socket, **options) as client:
            await phone.start()
            await client.connect(initial_session_config=config)
            yield phone, Model(await accepted), client


async def marks(phone: Phone, count: int) -> list[str]:
    return [(await phone.until("mark"))["mark"]["name"] for _ in range(count)]


async def formats(model: Model) -> tuple[Any, Any]:
    audio = (await model.until("session.update"))["session"]["audio"]
    return audio["input"]["format"], audio["output"]["format"]


async def done(client: TwilioRealtimeTransportLayer, phone: Phone) -> None:
    """Wait until all that the phone has sent was taken."""
    taken = upcoming(client, "dtmf")
    await phone.press("9")
    await got(taken)


async def test_an_answer_is_played_with_marks() -> None:
    async with talking() as (phone, model, _):
        await model.begin()
        await model.say("item_a", bytes(1200))
        await model.say("item_a", bytes(400))
        assert await marks(phone, 3) == [
            "item_a:0:800:g1",
            "item_a:0:1200:g1",
            "item_a:0:1600:g1",
        ]
        assert await phone.play() > 0
        assert len(phone.heard) == 1600


@pytest.mark.parametrize(
    ("played_ms", "expected"),
    [
        # Nothing came back yet: the grace is for the first item only.
        (0, [("item_a", 50), ("item_b", 0), ("item_c", 0)]),
        (250, [("item_a", 250), ("item_b", 0), ("item_c", 0)]),
        (300, [("item_a", 350), ("item_b", 0), ("item_c", 0)]),
        (460, [("item_a", 450), ("item_b", 0), ("item_c", 0)]),
        # Over, and the next is heard.
        (500, [("item_b", 50), ("item_c", 0)]),
        (899, [("item_b", 350), ("item_c", 0)]),
        (1000, [("item_c", 50)]),
    ],
)
async def test_what_was_not_heard_is_cut(
    played_ms: int, expected: list[tuple[str, int]]
) -> None:
    async with talking() as (phone, model, client):
        interrupted = upcoming(client, "audio_interrupted")
        for number, item in enumerate(["item_a", "item_b", "item_c"]):
            await model.begin(f"resp_{number}")
            await model.say(item, bytes(4000), f"resp_{number}")
            await model.finish(item, f"resp_{number}")
        await marks(phone, 15)
        await phone.play(played_ms)
        await done(client, phone)
        await model.barge_in()
        assert await model.cuts(len(expected)) == expected
        await got(interrupted)
        await phone.until("clear")
        # Twilio has sent the marks of what it cleared back; nothing comes of them.
        await done(client, phone)
        await model.barge_in()
        client.send_event({"type": "last"})
        assert json.loads(await model.connection.recv()) == {"type": "last"}
        assert [f["event"] for f in phone.frames].count("clear") == 1


async def test_what_was_heard_to_its_end_is_not_cut() -> None:
    async with talking() as (phone, model, client):
        await model.begin()
        await model.say("item_a", bytes(1600))
        await model.finish("item_a")
        await marks(phone, 2)
        await phone.play()
        await done(client, phone)
        told = upcoming(client, "audio_interrupted")
        await model.barge_in()
        await got(told)
        client.send_event({"type": "last"})
        await model.until("session.update")
        assert json.loads(await model.connection.recv()) == {"type": "last"}
        assert "clear" not in [frame["event"] for frame in phone.frames]


async def test_an_interrupted_response_is_silent_until_it_is_done() -> None:
    async with talking() as (phone, model, client):
        await model.begin()
        await model.say("item_a", bytes(800))
        await marks(phone, 1)
        client.interrupt()
        assert await model.until("response.cancel")
        assert await model.cuts(1) == [("item_a", 50)]
        await phone.until("clear")
        await model.say("item_a", bytes(800))
        await model.finish("item_a")
        await model.begin("resp_2")
        await model.say("item_b", bytes(8), "resp_2")
        assert await marks(phone, 1) == ["item_b:0:8:g2"]
        events = [frame["event"] for frame in phone.frames]
        assert events == ["media", "mark", "clear", "media", "mark"]


async def test_a_transport_that_cannot_be_told_is_cut_as_it_knows() -> None:
    class Deaf(OpenAIRealtimeWebSocket):
        played = None  # type: ignore[assignment]  # it has none

    async with talking(make=lambda url: Deaf(url=url, api_key="any")) as call:
        phone, model, client = call
        await model.begin()
        await model.say("item_a", bytes(8000))
        await marks(phone, 10)
        await phone.play(100)
        await done(client, phone)
        client.interrupt()
        [(item, ms)] = await model.cuts(1)
        assert (item, ms < 1000) == ("item_a", True)
        await phone.until("clear")


async def test_both_ways_are_mulaw_unless_told_otherwise() -> None:
    async with talking() as (_, model, client):
        assert await formats(model) == (ULAW, ULAW)
        client.update_session_config({"voice": "ash"})
        update = (await model.until("session.update"))["session"]
        assert update["audio"]["output"] == {"format": ULAW, "speed": 1, "voice": "ash"}
        assert update["audio"]["input"]["format"] == ULAW
        client.update_session_config({"outputAudioFormat": "pcm16"})
        assert await formats(model) == (ULAW, PCM)
        client.update_session_config({"audio": {"input": {"format": None}}})
        assert await formats(model) == (ULAW, PCM)
        with pytest.raises(InvalidRequest, match="audio/pcmu"):
            client.update_session_config({"input_audio_format": "opus"})


@pytest.mark.parametrize("format_", [ULAW, ALAW, PCM], ids=lambda f: f["type"])
async def test_a_spoken_turn_over_the_telephone(
    local_url: str,
    engines: Engines,
    speak: Callable[[str], Awaitable[bytes]],
    format_: dict[str, Any],
) -> None:
    config = {"audio": {side: {"format": format_} for side in ("input", "output")}}
    url = local_url.replace("http", "ws", 1) + "/realtime?model=gpt-realtime"
    async with (
        line() as (socket, phone),
        TwilioRealtimeTransportLayer(socket, url=url, api_key="sk-any") as client,
    ):
        turn, cut = upcoming(client, "turn_done"), upcoming(client, "audio_interrupted")
        updated = upcoming(client, "session.updated")
        await phone.start()
        await client.connect(initial_session_config=config)
        audio = (await got(updated))["session"]["audio"]
        assert audio["input"]["format"] == audio["output"]["format"] == format_
        await phone.say(to_ulaw(await speak("What is seven times eight?")))
        await phone.say(b"\xff" * 8000)
        assert (await got(turn)).status == "completed"
        while "56" not in plain(await engines.recognise(phone.pcm())):
            await phone.until("mark")
            await phone.play()
        await done(client, phone)
        # All was heard: who speaks now interrupts nothing.
        client.on("conversation.item.truncated", lambda _: pytest.fail("it was cut"))
        await phone.say(to_ulaw(await speak("Thank you very much.")))
        await got(cut)
        assert "clear" not in [frame["event"] for frame in phone.frames]


async def test_a_response_may_have_a_format_of_its_own() -> None:
    async with talking() as (phone, model, _):
        await model.begin(format_=PCM)
        await model.say("item_a", bytes(48000))
        await model.finish("item_a")
        # The resampler is behind until the end.
        while "item_a:0:8000:g1" not in await marks(phone, 1):
            pass
        await model.begin("resp_2")
        await model.say("item_b", bytes(80), "resp_2")
        assert await marks(phone, 1) == ["item_b:0:80:g1"]


async def test_silence_ends_the_turn_of_a_caller_who_is_cut_off() -> None:
    async with talking(input_audio_inactivity_timeout_ms=20) as (phone, model, _):
        await phone.say(bytes(160))
        await model.until("input_audio_buffer.append")
        await model.barge_in()
        silence = (await model.until("input_audio_buffer.append"))["audio"]
        assert base64.b64decode(silence) == b"\xff" * 8000
        await model.send("input_audio_buffer.speech_stopped")
        await phone.wait(3000)
        await phone.say(bytes(160))
        again = (await model.until("input_audio_buffer.append"))["audio"]
        assert base64.b64decode(again) == bytes(160)


async def test_what_is_said_before_the_model_is_there_is_not_lost() -> None:
    opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def script(connection: ServerConnection) -> None:
        async for text in connection:
            heard.put_nowait(json.loads(text))

    async with (
        line() as (socket, phone),
        scripted(script) as url,
        TwilioRealtimeTransportLayer(socket, url=url) as client,
    ):
        dtmf = client.stream("dtmf")
        connecting = asyncio.create_task(client.connect(api_key=lambda: opened))
        await phone.start()
        await phone.say(bytes(8000) + b"\x01" * 40000)
        await phone.press("1")
        await got(anext(dtmf))
        opened.set_result("sk-any")
        await connecting
        assert (await got(heard.get()))["type"] == "session.update"
        first = await got(heard.get())
        # Of more than five seconds the last ones.
        assert base64.b64decode(first["audio"]) == b"\x01" * 40000


async def test_what_has_not_left_is_never_sent_after_an_interruption() -> None:
    wire, far = pair()
    model = ScriptedRealtimeTransport(reported=True)
    telephone = Telephone(wire, model, Emitter(), inactivity_ms=None)
    carrying = asyncio.create_task(telephone.carry())
    start = {"streamSid": "MZ1", "callSid": "CA1"}
    await far.send(json.dumps({"event": "start", "start": start}))
    await got(telephone.ready())
    await model.connect()
    audio = {"output": {"format": ULAW}}
    await model.tell("response.created", response={"id": "r", "audio": audio})
    minute = base64.b64encode(bytes(480_000)).decode()
    part = {"response_id": "r", "item_id": "i", "content_index": 0}
    await model.tell("response.output_audio.delta", delta=minute, **part)
    model.interrupt()
    events = []
    while "clear" not in events:
        events.append(json.loads(await got(far.receive()))["event"])
    # The wire has room for 256 frames; there were 1200.
    assert len(events) < 300
    await far.close()
    await got(carrying)
    await model.close()


async def test_a_gap_is_filled() -> None:
    async with talking() as (phone, model, _):
        await phone.say(bytes(160))
        await phone.wait(100)
        await phone.say(bytes(160))
        await model.until("input_audio_buffer.append")
        filled = (await model.until("input_audio_buffer.append"))["audio"]
        assert base64.b64decode(filled) == b"\xff" * 800 + bytes(160)


async def test_what_is_malformed_breaks_nothing() -> None:
    async with talking() as (phone, model, client):
        for text in ("no JSON", "[]", '{"event": "media"}', '{"event": "mark"}'):
            await phone.socket.send(text)
        await phone.socket.send(b"binary")
        await phone.say(bytes(160))
        assert await model.until("input_audio_buffer.append")
        assert client.status == "connected"
