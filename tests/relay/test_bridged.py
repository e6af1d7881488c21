from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from agents import function_tool

from offhook import OpenAIRealtimeWebSocket, RealtimeAgent, Sound
from offhook.errors import SettingsError, UpstreamError
from offhook.local import serving as local_serving
from offhook.protocol import transport_events as told
from offhook.relay.app import create_app
from offhook.settings import LocalSettings, Settings
from tests.caller import calling
from tests.relays import Relay, serving
from tests.testing.test_conformance import Parrot
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from offhook.relay.bridged import BridgedCall
    from offhook.speech import Engines
    from tests.caller import Caller

    Speak = Callable[[str], Awaitable[bytes]]

pytestmark = pytest.mark.anyio

SUPPORT = {"support": {"instructions": "canary", "media": "bridged"}}
LEGS = pytest.mark.parametrize("leg", ["webrtc", "websocket"])
SAID = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "Please count to twenty."}],
}


def over(leg: str) -> dict[str, Any]:
    return {"support": {**SUPPORT["support"], "leg": leg}}


@asynccontextmanager
async def relaying(upstream: str, **options: Any) -> AsyncIterator[Relay]:
    settings = options.pop("settings", None) or Settings.load(upstream=upstream)
    app = create_app(settings, **{"agents": SUPPORT, **options})
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield Relay(url, client)


@asynccontextmanager
async def bridged(
    upstream: str, *, whole: bool = True, **options: Any
) -> AsyncIterator[tuple[Relay, Caller]]:
    async with relaying(upstream, **options) as relay:
        url, key = f"{relay.url}/v1", await relay.grant()
        async with calling(url, key=key, whole=whole) as caller:
            yield relay, caller


def spoken(caller: Caller) -> bytes:
    """What was heard, at 24 kHz."""
    return b"".join(
        bytes(caller.heard[at : at + 2]) for at in range(0, len(caller.heard), 4)
    )


@LEGS
async def test_a_caller_speaks_and_is_answered(
    leg: str, local_url: str, speak: Speak, engines: Engines
) -> None:
    async with bridged(local_url, agents=over(leg)) as (_, caller):
        caller.microphone.say(await speak("What is seven times eight?"))
        await caller.until("output_audio_buffer.stopped")
        heard = spoken(caller)
        types = {event["type"] for event in caller.events}
        assert "canary" not in str(caller.events)
    assert "56" in plain(await engines.recognise(heard))
    assert "response.output_audio.delta" not in types
    assert "conversation.item.input_audio_transcription.completed" in types


@LEGS
async def test_speaking_over_an_answer_cuts_it_at_what_was_heard(
    leg: str, local_url: str, speak: Speak
) -> None:
    async with bridged(local_url, agents=over(leg)) as (_, caller):
        caller.microphone.say(await speak("Please count from one to twenty."))
        await caller.until("output_audio_buffer.started")
        began = asyncio.get_running_loop().time()
        caller.microphone.say(await speak("Stop it. What is two plus two?"))
        await caller.until("output_audio_buffer.cleared")
        heard_ms = (asyncio.get_running_loop().time() - began) * 1000
        cut = await caller.until("conversation.item.truncated")
        assert abs(cut["audio_end_ms"] - heard_ms) < 800


@LEGS
async def test_a_caller_interrupts_by_its_button(leg: str, local_url: str) -> None:
    async with bridged(local_url, agents=over(leg)) as (_, caller):
        content = [{"type": "input_text", "text": "Please count to twenty."}]
        item = {"type": "message", "role": "user", "content": content}
        caller.send("conversation.item.create", item=item)
        caller.send("response.create")
        await caller.until("output_audio_buffer.started")
        caller.send("output_audio_buffer.clear")
        await caller.until("output_audio_buffer.cleared")
        await caller.until("conversation.item.truncated")


async def test_a_caller_may_not_change_how_the_agent_works(local_url: str) -> None:
    async with bridged(local_url) as (_, caller):
        session = {"type": "realtime", "instructions": "Be rude."}
        caller.send("session.update", session=session)
        updated = await caller.until("session.updated")
        assert "instructions" not in updated["session"]
        caller.send("response.create", response={"tools": []}, event_id="mine")
        await caller.until("response.done")


async def test_hanging_up_ends_both_sides(local_url: str) -> None:
    async with relaying(local_url) as relay:
        grant = await relay.grant()
        async with calling(f"{relay.url}/v1", key=grant) as caller:
            path = f"/v1/realtime/calls/{caller.call_id}/hangup"
            headers = {"Authorization": f"Bearer {grant}"}
            assert (await relay.client.post(path, headers=headers)).status_code == 200
            await caller.closed()
            again = await relay.client.post(path, headers=headers)
            assert again.status_code in (200, 404)


async def test_the_end_of_the_relay_ends_its_calls(local_url: str) -> None:
    async with relaying(local_url) as relay:
        grant = await relay.grant()
        calling_it = calling(f"{relay.url}/v1", key=grant)
        caller = await calling_it.__aenter__()
    try:
        await caller.closed()
    finally:
        await calling_it.__aexit__(None, None, None)


@LEGS
async def test_a_caller_is_told_that_there_is_no_model(leg: str) -> None:
    async with relaying("http://127.0.0.1:1", agents=over(leg)) as relay:
        grant = await relay.grant()
        url = f"{relay.url}/v1"
        async with calling(url, key=grant, greeting="error") as caller:
            error = caller.events[-1]["error"]
            assert "cannot be reached" in error["message"]
            assert "127.0.0.1" not in error["message"]
            await caller.closed()


async def test_a_transport_that_breaks_in_its_own_way_is_no_riddle_to_the_caller(
    local_url: str,
) -> None:
    class Broken(Parrot):
        async def connect(self, **_: Any) -> None:
            raise ValueError("canary")

    options = {"transport": lambda agent: Broken()}
    async with relaying(local_url, **options) as relay:
        url, key = f"{relay.url}/v1", await relay.grant()
        async with calling(url, key=key, greeting="error") as caller:
            assert "canary" not in str(caller.events)
            await caller.closed()


@LEGS
async def test_a_model_that_dies_is_told(leg: str, engines: Engines) -> None:
    local = LocalSettings.model_validate({"port": 0})
    async with AsyncExitStack() as stack:
        endpoint = AsyncExitStack()
        upstream = await endpoint.enter_async_context(local_serving(local))
        making = bridged(upstream, agents=over(leg), whole=False)
        _, caller = await stack.enter_async_context(making)
        caller.send("conversation.item.create", item=SAID)
        await caller.until("conversation.item.done")
        await endpoint.aclose()
        if leg == "websocket":  # over WebRTC this is a server that hangs up
            error = (await caller.until("error"))["error"]
            assert "broke" in error["message"]
        await caller.closed()


async def test_a_call_has_an_end(local_url: str) -> None:
    settings = Settings.load(upstream=local_url, session_seconds=0.5)
    async with relaying(local_url, settings=settings) as relay:
        url, key = f"{relay.url}/v1", await relay.grant()
        async with calling(url, key=key, whole=False) as caller:
            error = (await caller.until("error"))["error"]
            assert error["code"] == "session_expired"
            await caller.closed()


async def test_a_sound_is_heard_by_the_caller_and_not_by_the_model(
    local_url: str, speak: Speak, engines: Engines
) -> None:
    sound = await Sound.of_pcm(await speak("Please hold the line."))
    ended = asyncio.Event()

    async def hold(call: BridgedCall) -> None:
        assert call.caller
        await call.caller.play(sound).ended()
        ended.set()

    async with bridged(local_url, on_bridged=hold) as (_, caller):
        async with asyncio.timeout(20):
            await ended.wait()
        assert "hold the line" in (await engines.recognise(spoken(caller))).lower()
        kinds = {event["type"] for event in caller.events}
        assert "input_audio_buffer.speech_started" not in kinds
        caller.heard.clear()
        caller.microphone.say(await speak("What is seven times eight?"))
        await caller.until("output_audio_buffer.stopped")
        assert "56" in plain(await engines.recognise(spoken(caller)))


async def test_a_hook_that_fails_leaves_the_call_as_it_is(local_url: str) -> None:
    async def fail(_: BridgedCall) -> None:
        raise LookupError("the application's own fault")

    async with bridged(local_url, on_bridged=fail) as (_, caller):
        caller.send("conversation.item.create", item=SAID)
        caller.send("response.create")
        await caller.until("output_audio_buffer.started")


async def test_a_bad_offer_is_refused(local_url: str) -> None:
    async with relaying(local_url) as relay:
        answer = await relay.call(await relay.grant(), b"v=0\r\nm=audio 9 nonsense\r\n")
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "invalid_offer"


class Singer(Parrot):
    """A model of somebody's own that hears, and sings."""

    def __init__(self, agent: str) -> None:
        super().__init__()
        self.agent = agent
        self.heard = 0

    def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
        self.heard += len(audio)

    def request_response(self, response: Any = None) -> None:
        super().send_message("a song")

    async def _repeat(self, words: str) -> None:
        self._emitter.emit("turn_started", told.TurnStarted("turn_1", {"type": "song"}))
        self._emitter.emit("audio", told.Audio(b"\0\x10" * 4800, "turn_1", "song_1", 0))
        delta = told.Delta("La la la", "song_1", "turn_1")
        self._emitter.emit("audio_transcript_delta", delta)
        done = told.TurnDone("turn_1", "completed", (), told.Usage())
        self._emitter.emit("turn_done", done)


async def test_a_model_of_ones_own_stands_behind_the_page(local_url: str) -> None:
    made: list[Singer] = []

    def transport(agent: str) -> Singer:
        made.append(Singer(agent))
        return made[-1]

    async with bridged(local_url, transport=transport) as (_, caller):
        content = [{"type": "input_text", "text": "Sing!"}]
        item = {"type": "message", "role": "user", "content": content}
        caller.send("conversation.item.create", item=item)
        caller.send("response.create")
        words = await caller.until("response.output_audio_transcript.delta")
        await caller.until("output_audio_buffer.started")
        await caller.until("output_audio_buffer.stopped")
        [singer] = made
        assert words["delta"] == "La la la"
        assert (singer.agent, singer.status) == ("support", "connected")
        assert max(caller.heard) > 0
        assert singer.heard > 0


@function_tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"It rains in {city}."


async def test_an_agents_tools_run_on_the_server(local_url: str) -> None:
    agent = RealtimeAgent(name="Support", instructions="canary", tools=[get_weather])
    # The calls of functions are hidden, so that their places are empty.
    given = {"support": agent}
    async with bridged(local_url, whole=False, agents=given) as (_, caller):
        content = [{"type": "input_text", "text": "What's the weather in Paris?"}]
        item = {"type": "message", "role": "user", "content": content}
        caller.send("conversation.item.create", item=item)
        caller.send("response.create")
        words = await caller.until("response.output_audio_transcript.done")
        assert words["transcript"] == "It rains in Paris."
        await caller.until("output_audio_buffer.stopped")
        seen = str(caller.events)
    assert "canary" not in seen
    assert "get_weather" not in seen


async def test_such_an_agent_is_not_called_over_a_websocket(local_url: str) -> None:
    agent = RealtimeAgent(name="Support")
    async with relaying(local_url, agents={"support": agent}) as relay:
        url = f"{relay.url.replace('http', 'ws')}/v1/realtime?model=any"
        client = OpenAIRealtimeWebSocket(url=url, api_key=await relay.grant())
        with pytest.raises(UpstreamError, match="is called over WebRTC"):
            await client.connect()


def test_an_agent_that_is_none_is_named() -> None:
    with pytest.raises(SettingsError, match="support must be a table"):
        create_app(Settings.load(), agents={"support": "Help!"})  # type: ignore[dict-item]  # a mistake


def test_keys_of_the_upstream_and_bridged_calls_exclude_each_other() -> None:
    settings = Settings.load(keys="upstream", api_key="sk-canary-0123456789")
    with pytest.raises(SettingsError, match="'support' are bridged"):
        create_app(settings, agents=SUPPORT)
    with pytest.raises(SettingsError, match="'default' are bridged"):
        create_app(settings, transport=Singer)
