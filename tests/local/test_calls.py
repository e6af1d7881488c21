from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK
from websockets.frames import Close

from offhook.audio import resample
from offhook.local import serving
from offhook.settings import LocalSettings
from tests.caller import Caller, calling
from tests.official import problems
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from offhook.speech import Engines

    Speak = Callable[[str], Awaitable[bytes]]

pytestmark = pytest.mark.anyio

SESSION: dict[str, Any] = {
    "type": "realtime",
    "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
}


async def words(caller: Caller, engines: Engines) -> str:
    """What the caller has heard since the last time, written down."""
    pcm = resample(bytes(caller.heard), 48000, 24000)
    caller.heard.clear()
    return plain(await engines.recognise(pcm))


async def test_two_spoken_turns(local_url: str, speak: Speak, engines: Engines) -> None:
    async with calling(local_url, SESSION) as caller:
        caller.microphone.say(await speak("What is seven times eight?"))
        await caller.until("output_audio_buffer.stopped")
        assert "56" in await words(caller, engines)
        caller.microphone.say(await speak("Repeat after me, the train leaves at noon."))
        await caller.until("output_audio_buffer.stopped")
        assert "the train leaves at noon" in await words(caller, engines)
    transcripts = [
        e["transcript"].lower()
        for e in caller.events
        if e["type"].endswith(("transcription.completed", "transcript.done"))
    ]
    assert "seven times eight" in transcripts[0] or "7" in transcripts[0]
    assert "56" in transcripts[1]
    assert "the train leaves at noon" in transcripts[2]
    assert [p for e in caller.events for p in problems(e)] == []


async def test_talking_over_an_answer_stops_it(local_url: str, speak: Speak) -> None:
    async with calling(local_url, SESSION) as caller:
        caller.microphone.say(await speak("Please count to twenty."))
        await caller.until("output_audio_buffer.started")
        caller.microphone.say(await speak("What time is it?"))
        await caller.until("output_audio_buffer.cleared")
        truncated = await caller.until("conversation.item.truncated")
        assert 100 < truncated["audio_end_ms"] < 2500
        done = await caller.until("response.output_audio_transcript.done")
        assert "it is" in done["transcript"].lower()


async def test_a_text_turn_is_spoken_and_its_audio_stays_off_the_channel(
    local_url: str,
) -> None:
    async with calling(local_url, SESSION) as caller:
        content = [{"type": "input_text", "text": "How do you spell cat?"}]
        item = {"type": "message", "role": "user", "content": content}
        caller.send("conversation.item.create", item=item)
        caller.send("response.create")
        done = await caller.until("response.done")
        await caller.until("output_audio_buffer.stopped")
        item_id = done["response"]["output"][0]["id"]
        caller.send("conversation.item.retrieve", item_id=item_id)
        retrieved = await caller.until("conversation.item.retrieved")
        assert "audio" not in retrieved["item"]["content"][0]
    assert not any(e["type"] == "response.output_audio.delta" for e in caller.events)


async def test_a_hang_up_ends_the_call_once(local_url: str) -> None:
    async with calling(local_url) as caller, httpx.AsyncClient() as client:
        url = f"{local_url}/realtime/calls/{caller.call_id}/hangup"
        headers = {"Authorization": "Bearer sk-any"}
        first = await client.post(url, headers=headers)
        assert (first.status_code, first.content) == (200, b"")
        await caller.closed()
        second = await client.post(url, headers=headers)
        assert second.status_code == 404
        assert second.json()["error"]["code"] == "call_id_not_found"


async def test_a_caller_who_leaves_is_forgotten(local_url: str) -> None:
    async with calling(local_url) as caller:
        pass
    async with calling(local_url), httpx.AsyncClient() as client:
        url = f"{local_url}/realtime/calls/{caller.call_id}/hangup"
        headers = {"Authorization": "Bearer sk-any"}
        assert (await client.post(url, headers=headers)).status_code == 404


async def test_garbage_on_the_data_channel_is_answered(local_url: str) -> None:
    async with calling(local_url) as caller:
        caller.channel.send("{")
        assert (await caller.until("error"))["error"]["code"] == "invalid_json"
        caller.channel.send(b"\xff\xfe")
        assert (await caller.until("error"))["error"]["code"] == "invalid_json"
        caller.send("response.cancel", event_id="mine")
        assert (await caller.until("error"))["error"]["event_id"] == "mine"


async def test_a_sideband_controls_a_call_that_has_its_audio_elsewhere(
    local_url: str,
) -> None:
    async with (
        calling(local_url) as caller,
        AsyncOpenAI(base_url=local_url, api_key="sk-any") as client,
        client.realtime.connect(call_id=caller.call_id) as sideband,
        client.realtime.connect(call_id=caller.call_id) as second,
    ):
        await sideband.session.update(
            session={"type": "realtime", "instructions": "From the side"}
        )
        for side in (sideband, second):
            # The first event is the answer: a sideband is not greeted.
            updated = await side.recv()
            assert updated.type == "session.updated"
        assert (await caller.until("session.updated"))["session"]["instructions"]
        await sideband.response.cancel()
        assert (await sideband.recv()).type == "error"
        content: Any = [{"type": "input_text", "text": "How do you spell cat?"}]
        await sideband.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        await sideband.response.create()
        seen = []
        while "output_audio_buffer.stopped" not in seen:
            event = json.loads(await second.recv_bytes())
            assert problems(event) == []
            seen.append(event["type"])
        assert "response.done" in seen
        assert "response.output_audio.delta" not in seen
        # The error went to the one who made it.
        assert "error" not in seen
        assert not any(event["type"] == "error" for event in caller.events)
        await client.realtime.calls.hangup(caller.call_id)
        with pytest.raises(ConnectionClosedOK):
            while True:
                await sideband.recv_bytes()


async def test_a_call_expires_with_its_sidebands(engines: Engines) -> None:
    settings = LocalSettings.model_validate({"port": 0, "session_seconds": 2})
    async with (
        serving(settings) as url,
        calling(url) as caller,
        AsyncOpenAI(base_url=url, api_key="sk-any") as client,
        client.realtime.connect(call_id=caller.call_id) as sideband,
    ):
        expires_at = caller.events[0]["session"]["expires_at"]
        assert time.time() < expires_at < time.time() + 3
        error = (await caller.until("error"))["error"]
        assert time.time() >= expires_at
        assert error["code"] == "session_expired"
        assert error["message"].endswith("seconds.")
        assert json.loads(await sideband.recv_bytes())["error"] == error
        with pytest.raises(ConnectionClosed) as closed:
            await sideband.recv_bytes()
        assert closed.value.rcvd == Close(1001, error["message"])
        await caller.closed()
        with pytest.raises(NotFoundError):
            await client.realtime.calls.hangup(caller.call_id)


async def test_only_calls_over_sip_can_be_accepted_rejected_or_referred(
    local_url: str,
) -> None:
    async with (
        calling(local_url) as caller,
        AsyncOpenAI(base_url=local_url, api_key="sk-any") as client,
    ):
        calls = client.realtime.calls
        for call_id, error, message in (
            (caller.call_id, BadRequestError, "Only SIP calls can be accepted"),
            ("rtc_unknown", NotFoundError, "No session found for the provided call_id"),
        ):
            for request in (
                calls.accept(call_id, type="realtime"),
                calls.reject(call_id, status_code=486),
                calls.refer(call_id, target_uri="tel:+14155550123"),
            ):
                with pytest.raises(error, match=message) as caught:
                    await request
                assert caught.value.type == "invalid_request_error"
        # And the call has taken no harm.
        caller.send("session.update", session={"type": "realtime"})
        await caller.until("session.updated")
    async with httpx.AsyncClient() as stranger:
        path = f"{local_url}/realtime/calls/{caller.call_id}/accept"
        assert (await stranger.post(path)).status_code == 401


async def test_a_sideband_may_leave_and_the_call_goes_on(local_url: str) -> None:
    async with (
        calling(local_url) as caller,
        AsyncOpenAI(base_url=local_url, api_key="sk-any") as client,
    ):
        async with client.realtime.connect(call_id=caller.call_id):
            pass
        caller.send("session.update", session={"type": "realtime"})
        await caller.until("session.updated")
