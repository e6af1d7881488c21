"""`openai`, the official Python client, unmodified."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI

from tests.clients.places import AGENT, LOCAL, RELAY, Place
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
    of,
    said,
    speech,
)
from tests.clients.talk import MODEL, receive, talking
from tests.words import plain

if TYPE_CHECKING:
    from offhook.speech import Engines
    from tests.clients.records import Speak

pytestmark = pytest.mark.anyio

everywhere = pytest.mark.parametrize("place", [LOCAL, RELAY, AGENT], indirect=True)


@everywhere
async def test_a_written_turn(place: Place) -> None:
    async with talking(place.url, await place.key()) as talk:
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


@everywhere
async def test_a_turn_without_asyncio(place: Place) -> None:
    events = await asyncio.to_thread(synchronous, place.url, await place.key())
    check(events)
    assert course(events) == [
        "session.created",
        "conversation.item.added",
        "conversation.item.done",
        *SPOKEN_TURN,
    ]
    assert "42" in said(events)
    assert speech(events)


def synchronous(url: str, key: str) -> list[Event]:
    with (
        OpenAI(base_url=url, api_key=key) as official,
        official.realtime.connect(model=MODEL) as connection,
    ):
        content: Any = [{"type": "input_text", "text": "What is 6 times 7?"}]
        connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        connection.response.create()
        return receive(connection, "rate_limits.updated")


@everywhere
async def test_a_spoken_turn(place: Place, speak: Speak, engines: Engines) -> None:
    async with talking(place.url, await place.key()) as talk:
        await talk.listen()
        await talk.say(await speak("What is seven times eight?") + SILENCE)
        await talk.until("rate_limits.updated")
    check(talk.events)
    assert course(talk.events)[2:] == CALLER_TURN + SPOKEN_TURN
    [words] = of(talk.events, "conversation.item.input_audio_transcription.completed")
    assert "times" in words["transcript"]
    assert "56" in plain(await engines.recognise(speech(talk.events)))


@everywhere
async def test_push_to_talk(place: Place, speak: Speak) -> None:
    async with talking(place.url, await place.key()) as talk:
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


@everywhere
async def test_speech_interrupts_an_answer(place: Place, speak: Speak) -> None:
    async with talking(place.url, await place.key()) as talk:
        await talk.listen()
        second = await speak("What is ten plus two?") + SILENCE
        # Sentence by sentence: it takes longer to make than to interrupt.
        await talk.write("Repeat after me. " + "The train leaves at noon. " * 30)
        await talk.connection.response.create()
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


@pytest.mark.parametrize("place", [LOCAL, RELAY], indirect=True)
async def test_a_tool_is_called_and_its_output_is_spoken(
    place: Place, speak: Speak, engines: Engines
) -> None:
    async with talking(place.url, await place.key()) as talk:
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


async def test_a_picture_is_taken(local_url: str) -> None:
    async with talking(local_url) as talk:
        pixel = (
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlE"
            "QVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        )
        picture: Any = {"type": "input_image", "image_url": pixel, "detail": "low"}
        await talk.connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [picture]}
        )
        await talk.until("conversation.item.done")
        await talk.write("What is 6 times 7?")
        await talk.connection.response.create()
        await talk.until("rate_limits.updated")
    check(talk.events)
    assert "42" in said(talk.events)


async def test_an_answer_that_may_not_be_long(local_url: str) -> None:
    async with talking(local_url) as talk:
        await talk.write(f"Repeat after me: {LONG}")
        await talk.connection.response.create(response={"max_output_tokens": 20})
        await talk.until("rate_limits.updated")
    check(talk.events)
    [done] = of(talk.events, "response.done")
    assert done["response"]["status"] == "incomplete"
    reason = {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["response"]["status_details"] == reason


async def test_a_caller_who_says_nothing_is_asked(local_url: str, speak: Speak) -> None:
    async with talking(local_url) as talk:
        await talk.listen(idle_timeout_ms=5000)
        await talk.say(await speak("Hello there.") + SILENCE)
        await talk.until("rate_limits.updated")
        # Counted from when the answer would have been heard to its end.
        await talk.say(SILENCE * 2)
        await talk.until("input_audio_buffer.timeout_triggered")
        await talk.until("rate_limits.updated")
    check(talk.events)
    kinds = course(talk.events)
    assert kinds[kinds.index("input_audio_buffer.timeout_triggered") :] == [
        "input_audio_buffer.timeout_triggered",
        *CALLER_TURN[2:],
        *SPOKEN_TURN,
    ]


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
