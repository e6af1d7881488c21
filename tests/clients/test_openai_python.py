"""`openai`, the official Python client, as it comes from the registry."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiortc import RTCSessionDescription
from openai import AsyncOpenAI, NotFoundError, OpenAI
from openai._legacy_response import HttpxBinaryResponseContent

from tests.caller import Caller, offer
from tests.clients.records import (
    CALLER_TURN,
    LONG,
    SILENCE,
    SPOKEN_TURN,
    TEXT_TURN,
    TOOL_TURN,
    Event,
    check,
    course,
    errors,
    of,
    plain,
    said,
    speech,
)
from tests.mcp_server import Tools, mcp_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai.resources.realtime.realtime import (
        AsyncRealtimeConnection,
        RealtimeConnection,
    )

    from offhook.speech import Engines
    from tests.clients.records import Speak

pytestmark = pytest.mark.anyio

MODEL = "gpt-realtime-2.1"
VAD: dict[str, Any] = {
    "type": "server_vad",
    "create_response": True,
    "interrupt_response": True,
}
# A session that does not answer has nothing more to say about it.
VAD_ALONE: dict[str, Any] = {"type": "server_vad"}


class Talk:
    """One connection, and all that came over it."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.events: list[Event] = []

    async def until(self, kind: str) -> Event:
        """Receive up to an event of a type."""
        async with asyncio.timeout(20):
            while True:
                data = await self.connection.recv_bytes()
                assert self.connection.parse_event(data).type
                self.events.append(json.loads(data))
                if self.events[-1]["type"] == kind:
                    return self.events[-1]

    async def configure(self, **session: Any) -> Event:
        """Change the session."""
        session = {"type": "realtime", **session}
        update: Any = session
        await self.connection.session.update(session=update)
        return await self.until("session.updated")

    async def listen(self, **detection: Any) -> None:
        """Have the caller's turns found, and written down."""
        heard = {"turn_detection": VAD | detection, "transcription": {"model": "x"}}
        await self.configure(audio={"input": heard})

    async def say(self, pcm: bytes) -> None:
        """Speak: 200 ms at a time."""
        for at in range(0, len(pcm), 9600):
            audio = base64.b64encode(pcm[at : at + 9600]).decode()
            await self.connection.input_audio_buffer.append(audio=audio)

    async def write(self, text: str) -> None:
        """Send a message."""
        content: Any = [{"type": "input_text", "text": text}]
        await self.connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        await self.until("conversation.item.done")


@asynccontextmanager
async def client(local_url: str, key: str = "sk-any") -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=local_url, api_key=key, max_retries=0) as made:
        yield made


@asynccontextmanager
async def talking(local_url: str, key: str = "sk-any") -> AsyncIterator[Talk]:
    async with (
        client(local_url, key) as official,
        official.realtime.connect(model=MODEL) as connection,
    ):
        talk = Talk(connection)
        created = await talk.until("session.created")
        assert created["session"]["model"] == MODEL
        yield talk


async def test_a_written_turn(local_url: str) -> None:
    async with talking(local_url) as talk:
        await talk.configure(output_modalities=["text"])
        await talk.write("What is 6 times 7?")
        await talk.connection.response.create()
        await talk.until("rate_limits.updated")
    check(talk.events)
    assert course(talk.events)[-len(TEXT_TURN) :] == TEXT_TURN
    [done] = of(talk.events, "response.output_text.done")
    assert "42" in done["text"]
    [response] = of(talk.events, "response.done")
    used = response["response"]["usage"]
    assert used["total_tokens"] == used["input_tokens"] + used["output_tokens"] > 0


async def test_a_turn_without_asyncio(local_url: str) -> None:
    events = await asyncio.to_thread(synchronous, local_url)
    check(events)
    assert course(events) == [
        "session.created",
        "conversation.item.added",
        "conversation.item.done",
        *SPOKEN_TURN,
    ]
    assert "42" in said(events)
    assert speech(events)


def synchronous(local_url: str) -> list[Event]:
    with (
        OpenAI(base_url=local_url, api_key="sk-any") as official,
        official.realtime.connect(model=MODEL) as connection,
    ):
        content: Any = [{"type": "input_text", "text": "What is 6 times 7?"}]
        connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        connection.response.create()
        return receive(connection, "rate_limits.updated")


def receive(connection: RealtimeConnection, last: str) -> list[Event]:
    events: list[Event] = []
    while not of(events, last):
        data = connection.recv_bytes()
        assert connection.parse_event(data).type
        events.append(json.loads(data))
    return events


async def test_a_spoken_turn(local_url: str, speak: Speak, engines: Engines) -> None:
    async with talking(local_url) as talk:
        await talk.listen()
        await talk.say(await speak("What is seven times eight?") + SILENCE)
        await talk.until("rate_limits.updated")
    check(talk.events)
    assert course(talk.events)[2:] == CALLER_TURN + SPOKEN_TURN
    [words] = of(talk.events, "conversation.item.input_audio_transcription.completed")
    assert "times" in words["transcript"]
    assert "fifty six" in plain(await engines.recognise(speech(talk.events)))


async def test_push_to_talk(local_url: str, speak: Speak) -> None:
    async with talking(local_url) as talk:
        await talk.configure(audio={"input": {"turn_detection": None}})
        for question, answer in (
            ("What is seven times eight?", "56"),
            ("What is ten plus two?", "12"),
        ):
            before = len(talk.events)
            await talk.say(await speak(question))
            await talk.connection.input_audio_buffer.commit()
            await talk.until("conversation.item.done")
            await talk.connection.response.create()
            await talk.until("rate_limits.updated")
            assert answer in said(talk.events[before:])
            assert course(talk.events[before:]) == CALLER_TURN[2:] + SPOKEN_TURN
    check(talk.events)


async def test_an_answer_is_cancelled_and_cut(local_url: str) -> None:
    async with talking(local_url) as talk:
        await talk.write(f"Repeat after me: {LONG}")
        await talk.connection.response.create()
        begun = await talk.until("response.output_audio.delta")
        await talk.connection.response.cancel()
        done = (await talk.until("response.done"))["response"]
        assert done["status"] == "cancelled"
        assert done["status_details"]["reason"] == "client_cancelled"
        assert [item["status"] for item in done["output"]] == ["incomplete"]
        item_id = begun["item_id"]
        await talk.connection.conversation.item.truncate(
            item_id=item_id, content_index=0, audio_end_ms=50
        )
        cut = await talk.until("conversation.item.truncated")
        assert (cut["item_id"], cut["audio_end_ms"]) == (item_id, 50)
        await talk.connection.conversation.item.retrieve(item_id=item_id)
        kept = (await talk.until("conversation.item.retrieved"))["item"]
        assert len(base64.b64decode(kept["content"][0]["audio"])) == 50 * 48
        await talk.write("What is 6 times 7?")
        await talk.connection.response.create()
        await talk.until("rate_limits.updated")
        assert "42" in said(talk.events)
    check(talk.events)


async def test_speech_interrupts_an_answer(local_url: str, speak: Speak) -> None:
    async with talking(local_url) as talk:
        await talk.listen()
        first = await speak("Please count to one hundred.") + SILENCE
        second = await speak("What is ten plus two?") + SILENCE
        await talk.say(first)
        await talk.until("response.output_audio.delta")
        await talk.say(second)
        done = await talk.until("response.done")
        assert done["response"]["status"] == "cancelled"
        assert done["response"]["status_details"]["reason"] == "turn_detected"
        await talk.until("rate_limits.updated")
        await talk.until("rate_limits.updated")
        assert "12" in said(talk.events)
    check(talk.events)
    kinds = course(talk.events)
    cut = kinds.index("response.done")
    assert kinds[cut - 6 : cut] == [
        "input_audio_buffer.speech_started",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
    ]


WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


async def test_a_tool_is_called_and_its_output_is_spoken(
    local_url: str, speak: Speak, engines: Engines
) -> None:
    async with talking(local_url) as talk:
        await talk.configure(tools=[WEATHER])
        await talk.say(await speak("What's the weather in Paris?") + SILENCE)
        await talk.until("rate_limits.updated")
        assert course(talk.events)[2:] == CALLER_TURN + TOOL_TURN
        [done] = of(talk.events, "response.done")
        [call] = done["response"]["output"]
        assert (call["name"], json.loads(call["arguments"])) == (
            "get_weather",
            {"city": "Paris"},
        )
        before = len(talk.events)
        await talk.connection.conversation.item.create(
            item={
                "type": "function_call_output",
                "call_id": call["call_id"],
                "output": "It is sunny.",
            }
        )
        await talk.connection.response.create()
        await talk.until("rate_limits.updated")
        answer = talk.events[before:]
    check(talk.events)
    assert course(answer) == [
        "conversation.item.added",
        "conversation.item.done",
        *SPOKEN_TURN,
    ]
    assert "sunny" in said(answer)
    assert "sunny" in plain(await engines.recognise(speech(answer)))


async def test_a_tool_of_another_server(local_url: str) -> None:
    async with mcp_server(Tools()) as url, talking(local_url) as talk:
        facts: dict[str, Any] = {"type": "mcp", "server_label": "facts"}
        facts |= {"server_url": url, "require_approval": "never"}
        await talk.configure(tools=[facts], output_modalities=["text"])
        await talk.until("mcp_list_tools.completed")
        await talk.write("What is the capital of France?")
        await talk.connection.response.create()
        await talk.until("response.mcp_call.completed")
        await talk.until("response.output_item.done")
        await talk.connection.response.create()
        await talk.until("rate_limits.updated")
    check(talk.events)
    [text] = of(talk.events, "response.output_text.done")
    assert "Paris" in text["text"]


async def test_a_session_that_only_writes_down(local_url: str, speak: Speak) -> None:
    async with (
        client(local_url) as official,
        official.realtime.connect(extra_query={"intent": "transcription"}) as socket,
    ):
        talk = Talk(socket)
        created = await talk.until("session.created")
        assert created["session"]["type"] == "transcription"
        heard = {"transcription": {"model": "x"}, "turn_detection": VAD_ALONE}
        update: Any = {"type": "transcription", "audio": {"input": heard}}
        await socket.session.update(session=update)
        await talk.until("session.updated")
        for text in ("The train leaves at noon.", "What is seven times eight?"):
            await talk.say(await speak(text) + SILENCE)
            done = await talk.until(
                "conversation.item.input_audio_transcription.completed"
            )
            assert text.split()[-2] in done["transcript"]
    check(talk.events)
    assert course(talk.events)[2:] == CALLER_TURN * 2


async def test_a_response_beside_the_conversation(local_url: str) -> None:
    async with talking(local_url) as talk:
        await talk.write("Please count to twenty.")
        await talk.connection.response.create()
        main = (await talk.until("response.created"))["response"]
        content: Any = [{"type": "input_text", "text": "What is 6 times 7?"}]
        item: Any = {"type": "message", "role": "user", "content": content}
        await talk.connection.response.create(
            response={
                "conversation": "none",
                "output_modalities": ["text"],
                "metadata": {"topic": "sums"},
                "input": [item],
            }
        )
        for _ in range(2):
            await talk.until("rate_limits.updated")
    check(talk.events)
    [aside] = [
        event["response"]
        for event in of(talk.events, "response.done")
        if event["response"]["id"] != main["id"]
    ]
    assert aside["conversation_id"] is None
    assert aside["metadata"] == {"topic": "sums"}
    assert "42" in aside["output"][0]["content"][0]["text"]
    items = {event["item"]["id"] for event in of(talk.events, "conversation.item.done")}
    assert aside["output"][0]["id"] not in items


async def test_errors_name_the_event_that_they_are_about(local_url: str) -> None:
    async with talking(local_url) as talk:
        await talk.connection.response.cancel(event_id="one")
        await talk.connection.input_audio_buffer.commit(event_id="two")
        await talk.connection.conversation.item.delete(
            item_id="item_no", event_id="three"
        )
        wrong: Any = {"type": "realtime", "max_output_tokens": "many"}
        await talk.connection.session.update(session=wrong, event_id="four")
        unknown: Any = {"type": "response.begin", "event_id": "five"}
        await talk.connection.send(unknown)
        for _ in range(5):
            await talk.until("error")
        # The session goes on.
        await talk.write("Hello.")
    check(talk.events)
    found = [event["error"] for event in of(talk.events, "error")]
    assert [(e["event_id"], e["type"]) for e in found] == [
        (name, "invalid_request_error")
        for name in ("one", "two", "three", "four", "five")
    ]
    assert [e["code"] for e in found][:3] == [
        "response_cancel_not_active",
        "input_audio_buffer_commit_empty",
        "item_delete_invalid_item_id",
    ]


async def test_a_client_secret_opens_a_session(local_url: str) -> None:
    async with client(local_url) as official:
        minted = await official.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={
                "type": "realtime",
                "model": MODEL,
                "instructions": "Minted.",
                "output_modalities": ["text"],
            },
        )
    assert minted.value.startswith("ek_")
    assert minted.session.type == "realtime"
    assert minted.session.instructions == "Minted."
    async with talking(local_url, minted.value) as talk:
        assert talk.events[0]["session"]["instructions"] == "Minted."
        await talk.write("What is 6 times 7?")
        await talk.connection.response.create()
        await talk.until("rate_limits.updated")
    check(talk.events)
    assert of(talk.events, "response.output_text.done")


@pytest.mark.parametrize("how", ["multipart", "raw"])
async def test_a_call_with_a_sideband(
    local_url: str, how: str, speak: Speak, engines: Engines
) -> None:
    caller = Caller()
    sdp = await offer(caller)
    async with client(local_url) as official:
        if how == "multipart":
            answer = await official.realtime.calls.create(
                sdp=sdp,
                session={
                    "type": "realtime",
                    "model": MODEL,
                    "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
                },
            )
        else:
            answer = await official.post(
                "/realtime/calls",
                cast_to=HttpxBinaryResponseContent,
                content=sdp.encode(),
                options={"headers": {"Content-Type": "application/sdp"}},
            )
        assert answer.response.status_code == 201
        call_id = answer.response.headers["location"].rsplit("/", 1)[-1]
        await caller.peer.setRemoteDescription(
            RTCSessionDescription(answer.text, "answer")
        )
        await caller.until("session.created")
        async with official.realtime.connect(call_id=call_id) as connection:
            side = Talk(connection)
            await side.configure(instructions="From the side.")
            caller.microphone.say(await speak("What is seven times eight?"))
            await side.until("output_audio_buffer.stopped")
            await side.write("What is ten plus two?")
            await side.connection.response.create()
            await side.until("output_audio_buffer.started")
            await side.connection.output_audio_buffer.clear()
            await side.until("conversation.item.truncated")
            await asyncio.to_thread(beside, local_url, call_id)
            await side.until("session.updated")
            await official.realtime.calls.hangup(call_id)
            await caller.closed()
        with pytest.raises(NotFoundError) as gone:
            await official.realtime.calls.hangup(call_id)
        assert gone.value.code == "call_id_not_found"
    await caller.close()
    check(side.events)
    check(caller.events)
    assert not of(side.events, "response.output_audio.delta")
    assert [e["type"] for e in caller.events[-20:]] == [
        e["type"] for e in side.events[-20:]
    ]
    assert errors(caller.events) == []
    assert "56" in said(side.events)


def beside(local_url: str, call_id: str) -> None:
    with (
        OpenAI(base_url=local_url, api_key="sk-any") as official,
        official.realtime.connect(call_id=call_id) as connection,
    ):
        connection.session.update(
            session={"type": "realtime", "instructions": "From the other side."}
        )
        events = receive(connection, "session.updated")
    check(events, settled=False)
    # A sideband is not greeted: the answer is the first that it gets.
    assert [event["type"] for event in events] == ["session.updated"]
