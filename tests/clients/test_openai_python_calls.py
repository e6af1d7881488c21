"""`openai`: keys, calls and sidebands, and what else its sessions can do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiortc import RTCSessionDescription
from openai import NotFoundError, OpenAI
from openai._legacy_response import HttpxBinaryResponseContent

from offhook.audio import resample
from tests.caller import Caller, offer
from tests.clients.records import (
    CALLER_TURN,
    SILENCE,
    check,
    course,
    errors,
    of,
    said,
)
from tests.clients.talk import MODEL, Talk, client, receive, talking
from tests.mcp_server import Tools, mcp_server
from tests.words import plain

if TYPE_CHECKING:
    from offhook.speech import Engines
    from tests.clients.records import Speak

pytestmark = pytest.mark.anyio


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
            pcm = resample(bytes(caller.heard), 48000, 24000)
            assert "56" in plain(await engines.recognise(pcm))
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
        heard = {
            "transcription": {"model": "x"},
            "turn_detection": {"type": "server_vad"},
        }
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
