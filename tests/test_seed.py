"""The samples of OpenAI's guide "Realtime Transport Layer", in Python, as they run.

Each test is one sample of the JavaScript guide, in its order. Only the URL is ours:
that of the local endpoint, where the guide's goes to OpenAI.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from agents import function_tool

from offhook import (
    CloudflareRealtimeTransportLayer,
    OpenAIRealtimeWebRTC,
    RealtimeAgent,
    RealtimeSession,
    RealtimeTransportLayer,
)
from offhook.media.tracks import PulledTrack
from tests.testing.test_conformance import Parrot
from tests.transports.conformance import got, upcoming
from tests.upgrades import upgrading
from tests.waves import read, written
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from aiortc import MediaStreamTrack

    from offhook.speech import Engines

    Speak = Callable[[str], Awaitable[bytes]]

pytestmark = pytest.mark.anyio

QUESTION = "What is seven times eight?"


@pytest.fixture
def calls_url(local_url: str) -> str:
    return f"{local_url}/realtime/calls"


@pytest.fixture
def socket_url(local_url: str) -> str:
    return f"{local_url.replace('http', 'ws', 1)}/realtime?model=gpt-realtime"


@pytest.fixture
async def media_track(speak: Speak) -> MediaStreamTrack:
    """What the guide gets from `getUserMedia`: somebody who asks a question."""
    pcm = bytearray(await speak(QUESTION))

    def pull(ms: int) -> bytes:
        chunk = bytes(pcm[: ms * 48])
        del pcm[: ms * 48]
        return chunk

    return PulledTrack(pull)


# Connecting over WebRTC


async def test_your_own_media_stream_and_audio_element(
    media_track: MediaStreamTrack, calls_url: str, engines: Engines
) -> None:
    heard: list[bytes] = []

    agent = RealtimeAgent(
        name="Greeter",
        instructions="Greet the user with cheer and answer questions.",
    )

    transport = OpenAIRealtimeWebRTC(
        media_track=media_track,
        audio_sink=heard.append,
    )

    custom_session = RealtimeSession(agent, transport=transport)

    stopped = upcoming(transport, "output_audio_buffer.stopped")
    await custom_session.connect(api_key="any", url=calls_url)
    await got(stopped)
    await custom_session.close()
    assert "56" in plain(await engines.recognise(b"".join(heard)))
    # Yours stays yours.
    assert media_track.readyState == "live"


# Connecting over WebSocket


async def test_a_session_over_websocket(
    socket_url: str, speak: Speak, engines: Engines
) -> None:
    my_recorded_audio = await speak(QUESTION) + bytes(48_000)

    agent = RealtimeAgent(
        name="Greeter",
        instructions="Greet the user with cheer and answer questions.",
    )

    ws_session = RealtimeSession(agent, transport="websocket", model="gpt-realtime")
    done = upcoming(ws_session.transport, "turn_done")
    await ws_session.connect(api_key="any", url=socket_url)

    chunks: list[bytes] = []
    ws_session.on("audio", lambda event: chunks.append(event.data))

    ws_session.send_audio(my_recorded_audio)

    await got(done)
    await ws_session.close()
    assert "56" in plain(await engines.recognise(b"".join(chunks)))


# Cloudflare Workers (workerd) note


async def test_a_session_over_a_fetch_that_upgrades(socket_url: str) -> None:
    agent = RealtimeAgent(name="My Agent")

    async with upgrading() as runtime:
        # In a Worker there is no `fetch=`: the runtime's own is found.
        cf_transport = CloudflareRealtimeTransportLayer(
            url=socket_url, fetch=runtime.fetch
        )

        # Set your own transport.
        session = RealtimeSession(agent, transport=cf_transport)

        done = upcoming(session.transport, "turn_done")
        await session.connect(api_key="any")
        session.send_message(QUESTION)
        assert (await got(done)).status == "completed"
        await session.close()


# Building your own transport mechanism


async def test_a_transport_of_your_own() -> None:
    transport: RealtimeTransportLayer = Parrot()
    session = RealtimeSession(RealtimeAgent(name="Parrot"), transport=transport)
    added = asyncio.get_running_loop().create_future()
    session.on("history_added", added.set_result)
    await session.connect(api_key="any")
    session.send_message("Pieces of eight")
    assert (await got(added))["role"] == "assistant"
    await session.close()


# One script, over either transport


@pytest.mark.parametrize("word", ["webrtc", "websocket"])
async def test_one_script_differs_in_one_word(
    word: str, local_url: str, speak: Speak, engines: Engines, tmp_path: Path
) -> None:
    """Speak a WAV, use a tool, be interrupted, hand off, and keep what was heard."""
    url = {
        "webrtc": f"{local_url}/realtime/calls",
        "websocket": f"{local_url.replace('http', 'ws', 1)}/realtime?model=any",
    }[word]
    question = await speak("What's the weather in Paris?") + bytes(48_000)

    @function_tool
    def get_weather(city: str) -> str:
        """Tell the weather in a city."""
        return f"It is sunny in {city}."

    billing = RealtimeAgent(name="Billing", instructions="Talk about bills.")
    agent = RealtimeAgent(
        name="Greeter",
        instructions="Greet the user with cheer and answer questions.",
        tools=[get_weather],
        handoffs=[billing],
    )
    session = RealtimeSession(agent, transport=word)  # this is the word
    heard: list[bytes] = []
    session.on("audio", lambda event: heard.append(event.data))
    said, tools, over, stopped = (
        session.stream(name)
        for name in ("agent_end", "agent_tool_end", "agent_handoff", "audio_stopped")
    )

    async def spoken() -> str:
        async for _, _, text in said:
            if text:
                return str(text)
        raise AssertionError("the session has ended")

    async with session, asyncio.timeout(40):
        await session.connect(api_key="any", url=url)
        session.send_audio(question)
        assert (await anext(tools))[3] == "It is sunny in Paris."
        assert await spoken() == "It is sunny in Paris."
        await anext(stopped)
        audio = session.stream("audio")
        session.send_message("Please count from one to twenty.")
        interrupted = upcoming(session.transport, "audio_interrupted")
        await anext(audio)
        session.interrupt()
        await got(interrupted)
        session.send_message("Please transfer me to billing.")
        _, before, after = await anext(over)
        assert (before.name, after.name) == ("Greeter", "Billing")
        assert session.current_agent.name == "Billing"
    answer = written(tmp_path / "answer.wav", b"".join(heard))
    assert "sunny in paris" in (await engines.recognise(read(answer))).lower()


# Option 1 - Accessing the transport layer


async def test_the_transport_of_a_session(socket_url: str) -> None:
    agent = RealtimeAgent(
        name="Greeter",
        instructions="Greet the user with cheer and answer questions.",
    )

    session = RealtimeSession(agent, transport="websocket", model="gpt-realtime")

    # JSON parsed version of the event received on the connection
    events: list[dict[str, Any]] = []
    session.transport.on("*", events.append)

    done = upcoming(session.transport, "turn_done")
    await session.connect(api_key="any", url=socket_url)

    # Send any valid event as JSON. For example triggering a new response
    session.transport.send_event(
        {
            "type": "response.create",
            "response": {"instructions": "Say hello.", "output_modalities": ["text"]},
        }
    )

    await got(done)
    await session.close()
    assert events[0]["type"] == "session.created"
    assert "response.output_text.delta" in [event["type"] for event in events]


# Option 2 — Only using the transport layer


async def test_a_thin_client(
    media_track: MediaStreamTrack, calls_url: str, engines: Engines
) -> None:
    client = OpenAIRealtimeWebRTC(media_track=None, audio_sink=None, audio_events=True)
    audio_buffer = bytes(4800)

    updated = upcoming(client, "session.updated")
    await client.connect(
        api_key="<api key>",
        url=calls_url,
        model="gpt-4o-mini-realtime-preview",
        initial_session_config={
            "instructions": "Speak like a pirate",
            "voice": "ash",
            "modalities": ["text", "audio"],
            "inputAudioFormat": "pcm16",
            "outputAudioFormat": "pcm16",
        },
    )

    # optionally for WebSockets; over WebRTC if you ask for them with audio_events
    audio: list[bytes] = []
    client.on("audio", lambda new_audio: audio.append(new_audio.data))

    client.send_audio(audio_buffer)

    session = (await got(updated))["session"]
    assert session["instructions"] == "Speak like a pirate"
    assert session["audio"]["output"]["voice"] == "ash"
    stopped = upcoming(client, "output_audio_buffer.stopped")
    client.send_message(QUESTION)
    await got(stopped)
    await client.close()
    assert "56" in plain(await engines.recognise(b"".join(audio)))
