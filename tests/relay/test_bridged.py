from __future__ import annotations

import asyncio
import os
import threading
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from agents import function_tool
from aiortc import AudioStreamTrack, RTCSessionDescription

from offhook import OpenAIRealtimeWebSocket, RealtimeAgent, Sound
from offhook.errors import SettingsError, UpstreamError
from offhook.local import serving as local_serving
from offhook.media.factory import PeerFactory
from offhook.protocol import transport_events as told
from offhook.protocol.policy import Policy
from offhook.relay.app import create_app
from offhook.relay.bridged import BridgedCall
from offhook.relay.model_legs import own_leg
from offhook.settings import LocalSettings, Settings
from tests.caller import Caller, calling, offer
from tests.media.opus import decoded, loudness, tone
from tests.recordings import events, kept, spooled, track
from tests.relays import Relay, serving
from tests.testing.test_conformance import Parrot
from tests.witness import Witness
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aiortc import MediaStreamTrack
    from numpy.typing import NDArray

    from offhook.protocol.rtp import Packet
    from offhook.speech import Engines

    Speak = Callable[[str], Awaitable[bytes]]

pytestmark = pytest.mark.anyio

SUPPORT = {"support": {"instructions": "canary", "media": "bridged"}}
LEGS = pytest.mark.parametrize("leg", ["webrtc", "websocket"])
SEVEN = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "What is seven times eight?"}],
}
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
    packets: list[Packet] = []

    async def listen(call: BridgedCall) -> None:
        assert call.model
        call.model.tap_said(lambda packet, now: packets.append(packet))
        statistics = await call.model.statistics()
        assert statistics.packets_lost == 0

    agents = over(leg)
    async with bridged(local_url, agents=agents, on_bridged=listen) as (_, caller):
        caller.microphone.say(await speak("What is seven times eight?"))
        await caller.until("output_audio_buffer.stopped")
        heard = spoken(caller)
        types = {event["type"] for event in caller.events}
        assert "canary" not in str(caller.events)
    assert "56" in plain(await engines.recognise(heard))
    tapped = decoded(packet.payload for packet in packets).tobytes()
    assert "56" in plain(await engines.recognise(tapped))
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


async def test_so_has_that_whose_model_never_comes(local_url: str) -> None:
    class Lazy(Parrot):
        async def connect(self, **_: Any) -> None:
            await asyncio.Event().wait()

    settings = Settings.load(upstream=local_url, session_seconds=0.2)
    options = {"settings": settings, "transport": lambda agent: Lazy()}
    async with relaying(local_url, **options) as relay:
        url, key = f"{relay.url}/v1", await relay.grant()
        async with calling(url, key=key, greeting="error") as caller:
            assert caller.events[-1]["error"]["code"] == "session_expired"
            await caller.closed()


async def test_so_has_that_of_a_caller_who_opens_no_channel(local_url: str) -> None:
    settings = Settings.load(upstream=local_url, session_seconds=0.2)
    caller = Caller(channel=False)
    async with relaying(local_url, settings=settings) as relay:
        answer = await relay.call(await relay.grant(), (await offer(caller)).encode())
        description = RTCSessionDescription(answer.text, "answer")
        await caller.peer.setRemoteDescription(description)
        await caller.closed()
    await caller.close()


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


async def test_a_model_over_a_websocket_waits_while_a_sound_is_heard_alone(
    local_url: str, speak: Speak, engines: Engines
) -> None:
    sound = await Sound.of_pcm(await speak("Please hold the line."))
    asked = asyncio.Event()
    over_at: list[float] = []

    async def hold(call: BridgedCall) -> None:
        await asked.wait()
        assert call.caller
        await call.caller.play(sound).ended()
        over_at.append(asyncio.get_running_loop().time())

    agents = over("websocket")
    async with bridged(local_url, agents=agents, on_bridged=hold) as (_, caller):
        content = [{"type": "input_text", "text": "What is seven times eight?"}]
        item = {"type": "message", "role": "user", "content": content}
        asked.set()
        caller.send("conversation.item.create", item=item)
        caller.send("response.create")
        await caller.until("response.done")
        assert not over_at
        await caller.until("output_audio_buffer.started")
        assert over_at
        await caller.until("output_audio_buffer.stopped")
        words = plain(await engines.recognise(spoken(caller)))
    assert "hold the line" in words.partition("56")[0]
    assert "56" in words


async def test_what_waited_for_a_sound_was_not_heard(
    local_url: str, speak: Speak
) -> None:
    sound = await Sound.of_pcm(await speak("Please hold the line."))
    begin = asyncio.Event()

    async def hold(call: BridgedCall) -> None:
        await begin.wait()
        assert call.caller
        call.caller.play(sound, loop=True)

    agents = over("websocket")
    async with bridged(local_url, agents=agents, on_bridged=hold) as (_, caller):
        caller.send("conversation.item.create", item=SAID)
        caller.send("response.create")
        await caller.until("output_audio_buffer.started")
        begin.set()
        speech = await speak("Stop it. What is two plus two?")
        caller.microphone.say(bytes(48000) + speech)
        await caller.until("output_audio_buffer.cleared")
        cut = await caller.until("conversation.item.truncated")
        assert cut["audio_end_ms"] < 400


async def test_a_model_that_takes_no_audio_ends_the_call(
    local_url: str, speak: Speak, caplog: pytest.LogCaptureFixture
) -> None:
    class Deaf(Parrot):
        def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
            raise ValueError("deaf")

    async with bridged(local_url, transport=lambda agent: Deaf()) as (_, caller):
        await caller.closed()
        assert "broke" in caller.events[-1]["error"]["message"]
    assert caplog.text.count("is given up: deaf") == 1


async def test_so_does_one_that_takes_no_events(local_url: str) -> None:
    class Mute(Parrot):
        def send_message(self, *_: Any, **__: Any) -> None:
            raise ValueError("canary")

    witness = Witness()
    options: dict[str, Any] = {"transport": lambda _: Mute(), "observers": [witness]}
    async with bridged(local_url, **options) as (_, caller):
        caller.send("conversation.item.create", item=SEVEN)
        await caller.closed()
        assert "canary" not in str(caller.events)
        assert "broke" in caller.events[-1]["error"]["message"]
        assert (await witness.end()).reason == "failed"


async def test_what_is_no_transport_takes_no_place() -> None:
    nothing: Any = object()
    policy = Policy(fixed=True)
    async with PeerFactory(waiting=1) as peers:
        with pytest.raises(AttributeError):
            BridgedCall(own_leg(nothing, {}), policy, {}, peers, seconds=1)
        leg = own_leg(Parrot(), {})
        call = BridgedCall(leg, policy, {}, peers, seconds=1)
        await call.hang_up()


async def test_a_hook_that_fails_leaves_the_call_as_it_is(local_url: str) -> None:
    async def fail(_: BridgedCall) -> None:
        raise LookupError("the application's own fault")

    async with bridged(local_url, on_bridged=fail) as (_, caller):
        caller.send("conversation.item.create", item=SAID)
        caller.send("response.create")
        await caller.until("output_audio_buffer.started")


RATE = 24000
HIGH = 3100.0  # where a voice has little


def with_sounds(leg: str, **sounds: Any) -> dict[str, Any]:
    return {"support": {**SUPPORT["support"], "leg": leg, "sounds": sounds}}


def levels(pcm: bytes, hertz: float) -> NDArray[np.float64]:
    """How loud a tone is, every 100 ms."""
    samples = np.frombuffer(pcm, "<i2")
    pieces = [samples[at : at + 2400] for at in range(0, len(samples) - 2399, 2400)]
    return np.array([loudness(piece, hertz) for piece in pieces])


async def until_heard(caller: Caller, seconds: float) -> None:
    """Let the caller listen for so long."""
    wanted = len(caller.heard) + seconds * 192000
    async with asyncio.timeout(20 + seconds):
        while len(caller.heard) < wanted:
            await caller.heard_more()


@LEGS
async def test_music_is_heard_by_the_caller_alone_and_gives_way_to_speech(
    leg: str, local_url: str
) -> None:
    music = Sound(tone(HIGH, 0.5, 0.1))
    agents = with_sounds(leg, music={"sound": music, "when": "always", "control": True})
    to_model: list[Packet] = []

    async def listen(call: BridgedCall) -> None:
        assert call.model
        call.model.tap_heard(lambda packet, _: to_model.append(packet))

    async with bridged(local_url, agents=agents, on_bridged=listen) as (_, caller):
        await until_heard(caller, 0.8)
        before = levels(spoken(caller)[-RATE // 2 :], HIGH)
        assert np.median(before) == pytest.approx(0.1, rel=0.1)
        caller.heard.clear()
        caller.send("conversation.item.create", item=SEVEN)
        caller.send("response.create")
        await caller.until("output_audio_buffer.stopped")
        speech = spoken(caller)
        loud = levels(speech, HIGH)[voiced(speech)]
        assert len(loud) >= 8
        assert np.median(loud) == pytest.approx(0.1 * 10 ** (-12 / 20), rel=0.4)
        caller.send("offhook.sound.stop", name="music")
        stopped = await caller.until("offhook.sound.stopped")
        assert (stopped["name"], stopped["to"]) == ("music", "caller")
        await until_heard(caller, 0.3)
        caller.heard.clear()
        await until_heard(caller, 0.2)
        assert levels(spoken(caller), HIGH).max() < 0.001
        caller.send("offhook.sound.start", name="music")
        await caller.until("offhook.sound.started")
        await until_heard(caller, 0.5)
        assert levels(spoken(caller), HIGH).max() > 0.05
    heard = decoded(packet.payload for packet in to_model)
    assert len(heard) > RATE
    assert levels(heard.tobytes(), HIGH).max() < 0.001


def voiced(pcm: bytes) -> NDArray[np.bool_]:
    """Every 100 ms, whether something else than a tone is loud, and was before."""
    samples = np.frombuffer(pcm, "<i2").astype(float) / 32768
    pieces = samples[: len(samples) // 2400 * 2400].reshape(-1, 2400)
    low = abs(np.fft.rfft(pieces, axis=1)[:, 10:150]).sum(axis=1) / 1200
    speech: NDArray[np.bool_] = low > 0.05
    both: NDArray[np.bool_] = speech & np.roll(speech, 1)
    return both


async def test_a_greeting_is_heard_first_and_swallows_no_word(
    local_url: str, engines: Engines
) -> None:
    """Over WebRTC, where the model's server plays on; the others wait themselves."""
    greeting = Sound(tone(800, 2, 0.1))
    agents = with_sounds("webrtc", greeting={"sound": greeting, "when": "connected"})
    async with bridged(local_url, agents=agents) as (_, caller):
        caller.send("conversation.item.create", item=SEVEN)
        caller.send("response.create")
        await caller.until("offhook.sound.stopped")
        await until_heard(caller, 3)
        heard = spoken(caller)
    tones = np.flatnonzero(levels(heard, 800) > 0.05)
    assert 18 <= len(tones) <= 22
    end = 2 * 2400 * (int(tones.max()) + 1)
    assert not voiced(heard[:end])[: tones.min()].any()
    said = (await engines.recognise(heard[end:])).lower()
    assert said.startswith(("seven times", "7 times"))
    assert "fifty" in said or "56" in said


async def test_a_caller_plays_no_sound_that_it_may_not(local_url: str) -> None:
    beep = Sound(tone(800, 0.1))
    agents = with_sounds("webrtc", beep={"sound": beep})
    async with bridged(local_url, agents=agents) as (_, caller):
        for name in ("beep", "unknown"):
            caller.send("offhook.sound.start", name=name, event_id=f"my_{name}")
            error = (await caller.until("error"))["error"]
            assert error["type"] == "invalid_request_error"
            assert error["code"] == "unknown_sound"
            assert error["event_id"] == f"my_{name}"
            assert error["param"] == "name"


async def test_an_application_plays_by_name_to_either_side(local_url: str) -> None:
    beep = Sound(tone(800, 0.2))
    agents = with_sounds("webrtc", beep={"sound": beep, "to": "model"})
    over = asyncio.Event()
    to_model: list[Packet] = []

    async def play(call: BridgedCall) -> None:
        assert call.model
        call.model.tap_heard(lambda packet, _: to_model.append(packet))
        await call.play("beep").ended()
        call.stop("beep")
        await call.play(beep, to="caller").ended()
        over.set()

    async with bridged(local_url, agents=agents, on_bridged=play) as (_, caller):
        async with asyncio.timeout(10):
            await over.wait()
        await until_heard(caller, 0.3)
        assert levels(spoken(caller), 800).max() > 0.1
        assert loudness(decoded(p.payload for p in to_model), 800) > 0.02


async def test_who_waits_for_the_model_or_its_tool_hears_a_sound(
    local_url: str,
) -> None:
    go = asyncio.Event()

    @function_tool
    async def order_status(number: str) -> str:
        """Tell the status of an order."""
        await go.wait()
        return f"Order {number} is on its way."

    hold = {"sound": Sound(tone(HIGH, 0.5, 0.1)), "when": "waiting"}
    agent = RealtimeAgent(name="Support", tools=[order_status])
    agents = {"support": {"agent": agent, "sounds": {"hold": hold}}}
    asked = [{"type": "input_text", "text": "What's the status of order 17?"}]
    async with bridged(local_url, whole=False, agents=agents) as (_, caller):
        item = {"type": "message", "role": "user", "content": asked}
        caller.send("conversation.item.create", item=item)
        caller.send("response.create")
        assert (await caller.until("offhook.sound.started"))["name"] == "hold"
        await until_heard(caller, 0.5)
        assert levels(spoken(caller), HIGH).max() > 0.05
        go.set()
        await caller.until("output_audio_buffer.started")
        await caller.until("offhook.sound.stopped")


async def test_who_waits_for_the_model_to_come_hears_a_sound(local_url: str) -> None:
    go = asyncio.Event()

    class Late(Singer):
        async def connect(self, **options: Any) -> None:
            await go.wait()
            await super().connect(**options)

    def music() -> MediaStreamTrack:
        started.set()
        return AudioStreamTrack()

    started = asyncio.Event()
    agents = with_sounds("webrtc", hold={"sound": music, "when": "waiting"})
    async with relaying(local_url, agents=agents, transport=Late) as relay:
        url, key = f"{relay.url}/v1", await relay.grant()
        calling_it = calling(url, key=key, whole=False)
        entering = asyncio.create_task(calling_it.__aenter__())
        async with asyncio.timeout(10):
            await started.wait()
        go.set()
        caller = await entering
        try:
            # What it is told begins with the session, whatever it has heard.
            assert caller.events[0]["type"] == "session.created"
            await caller.until("offhook.sound.started")
            await caller.until("offhook.sound.stopped")
        finally:
            await calling_it.__aexit__(None, None, None)


@LEGS
async def test_call_after_call_leaves_nothing(leg: str, local_url: str) -> None:
    """As many as are quick; `python -m tests.benchmarks.leaks` makes 200."""

    async def call() -> None:
        key = await relay.grant()
        async with calling(f"{relay.url}/v1", key=key, whole=False) as caller:
            await caller.heard_more()

    def left() -> tuple[int, int, int]:
        descriptors = len(os.listdir("/proc/self/fd"))
        return len(asyncio.all_tasks()), threading.active_count(), descriptors

    # The store's pool opens another connection when it likes to.
    settings = Settings.load(upstream=local_url, store="none")
    async with relaying(local_url, settings=settings, agents=over(leg)) as relay:
        for _ in range(2):
            await call()
        before = left()
        for _ in range(5):
            await call()
        async with asyncio.timeout(10):
            # aiortc ends its tasks in its own time.
            while any(n > b for n, b in zip(left(), before, strict=True)):  # noqa: ASYNC110  # likewise
                await asyncio.sleep(0.05)


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


def recorded(record: str, **given: Any) -> dict[str, Any]:
    return {"support": {**SUPPORT["support"], "record": record, **given}}


async def test_what_is_not_the_callers_to_say_is_told(local_url: str) -> None:
    async with bridged(local_url) as (_, caller):
        caller.send("offhook.recording.consent", event_id="mine")
        error = (await caller.until("error"))["error"]
        assert (error["code"], error["event_id"]) == ("invalid_value", "mine")
        caller.send("conversation.item.create", item=SAID)
        await caller.until("conversation.item.done")


async def test_a_call_that_has_to_be_recorded_ends_without_consent(
    local_url: str,
) -> None:
    async with relaying(local_url, agents=recorded("required")) as relay:
        url = f"{relay.url}/v1"
        key = await relay.grant({"consent": {"recording": True}})
        async with calling(url, key=key, whole=False) as caller:
            caller.send("offhook.recording.withdraw")
            error = (await caller.until("error"))["error"]
            assert error["code"] == "consent_required"
            await caller.closed()


YES = {"consent": {"recording": True}}


@LEGS
async def test_both_sides_are_recorded_with_what_is_announced(
    leg: str, local_url: str, speak: Speak, engines: Engines
) -> None:
    sound = await Sound.of_pcm(await speak("This call is recorded."))

    async def announce(call: BridgedCall) -> None:
        assert call.caller
        call.caller.play(sound)

    options = {"agents": recorded("consent", leg=leg), "on_bridged": announce}
    async with relaying(local_url, **options) as relay:
        key = await relay.grant(YES)
        async with calling(f"{relay.url}/v1", key=key, whole=False) as caller:
            started = await caller.until("offhook.recording.started")
            caller.microphone.say(await speak("What is seven times eight?"))
            await caller.until("output_audio_buffer.stopped")
            assert [folder.name for folder in spooled()] == [started["recording_id"]]
        folder = await kept()
        assert folder.name == started["recording_id"]
    heard = (await engines.recognise(track(folder, "model"))).lower()
    assert "is recorded" in heard
    assert "fifty-six" in heard
    said = (await engines.recognise(track(folder, "caller"))).lower()
    assert "seven times eight" in said
    kinds = {entry["event"]["type"] for entry in events(folder)}
    assert "response.done" in kinds
    transcript = (folder / "transcript.txt").read_text("utf-8").lower()
    assert "seven times eight" in transcript


async def test_no_byte_before_the_consent_and_none_after_it_is_withdrawn(
    local_url: str,
) -> None:
    async with relaying(local_url, agents=recorded("consent")) as relay:
        url, key = f"{relay.url}/v1", await relay.grant()
        async with calling(url, key=key, whole=False) as caller:
            caller.send("conversation.item.create", item=SAID)
            await caller.until("conversation.item.done")
            assert spooled() == []
            caller.send("offhook.recording.consent")
            await caller.until("offhook.recording.started")
            assert len(spooled()) == 1
            caller.send("offhook.recording.withdraw")
            stopped = await caller.until("offhook.recording.stopped")
            assert stopped["deleted"] is True
            assert spooled() == []
            caller.send("response.create")
            await caller.until("output_audio_buffer.started")
