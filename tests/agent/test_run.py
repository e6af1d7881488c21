"""What a session tells of a conversation, and in which order."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from offhook.agent import RealtimeAgent, RealtimeSession
from offhook.errors import WireClosed
from offhook.protocol.transport_events import Audio, FunctionCall
from offhook.transports.webrtc import OpenAIRealtimeWebRTC
from tests.agent.custom import Fake
from tests.agent.scripted import PARIS, Told, get_weather, scene
from tests.answerer import Answerer, answering
from tests.transports.conformance import UPDATED

pytestmark = pytest.mark.anyio


async def test_a_spoken_turn() -> None:
    async with scene() as it:
        server = await it.connect()
        await server.begin("r1")
        where = {"response_id": "r1", "item_id": "m1", "content_index": 0}
        for _ in range(2):
            message = await server.words("Hello.")
        await server.say("response.output_audio.done", **where)
        await server.end("r1", message)
        context, agent, text = await it.told.next("agent_end")
        assert (context, agent.name, text) == (it.session.context, "Greeter", "Hello.")
        assert it.told.names == [
            "agent_start",
            "audio_start",
            "audio",
            "audio",
            "audio_stopped",
            "agent_end",
        ]
        [audio] = it.told.all("audio")[0]
        assert isinstance(audio, Audio)
        assert len(audio.data) == 48000
        for name in ("agent_start", "audio_start", "audio_stopped"):
            assert it.told.all(name) == [(it.session.context, agent)]
        # The next one begins anew.
        await server.begin("r2")
        await server.words("Bye.", by="r2", item_id="m2")
        await it.told.next("audio_start")


async def test_the_caller_speaks_over_an_answer() -> None:
    async with scene() as it:
        server = await it.connect()
        await server.begin("r1")
        await server.words("Hello.")
        await it.told.next("audio")
        await server.say("input_audio_buffer.speech_started", audio_start_ms=1)
        context, agent = await it.told.next("audio_interrupted")
        assert (context, agent.name) == (it.session.context, "Greeter")


async def test_audio_that_the_server_plays_is_told_as_it_is_played() -> None:
    async with scene() as it:
        server = await it.connect()
        for response_id, end in (("r1", "stopped"), ("r2", "cleared")):
            await server.begin(response_id)
            where = {"response_id": response_id, "item_id": "m", "content_index": 0}
            if response_id == "r1":  # it is made before it is heard
                await server.say("response.output_audio.done", **where)
            for _ in range(2):
                await server.say("output_audio_buffer.started", response_id=response_id)
            if response_id == "r2":
                await server.say("response.output_audio.done", **where)
            await server.end(response_id)
            await server.say(f"output_audio_buffer.{end}", response_id=response_id)
            await it.told.next("audio_stopped")
        names = [name for name in it.told.names if name.startswith("audio")]
        assert names == ["audio_start", "audio_stopped"] * 2


async def test_over_webrtc_audio_has_stopped_when_it_has_been_played() -> None:
    heard = asyncio.Event()

    async def script(call: Answerer) -> None:
        async def say(kind: str, **fields: Any) -> None:
            await call.send(json.dumps({"type": kind, "response_id": "r1", **fields}))

        await call.send(UPDATED)
        part = {"item_id": "m1", "content_index": 0}
        await say("response.created", response={"id": "r1"})
        await say("response.content_part.added", **part, part={"type": "audio"})
        await heard.wait()  # the sound may be faster than the events
        await say("response.output_audio.done", **part)
        for moment in ("started", "stopped"):
            await say(f"output_audio_buffer.{moment}")
        await call.wait_closed()

    async with answering(script) as url:
        transport = OpenAIRealtimeWebRTC(
            url=url,
            api_key="sk-any",
            media_track=None,
            audio_sink=None,
            audio_events=True,
        )
        agent: RealtimeAgent[Any] = RealtimeAgent(name="Greeter")
        async with RealtimeSession(agent, transport=transport) as session:
            told = Told(session)
            session.on("audio", lambda _: heard.set())
            for moment in ("started", "stopped"):
                name = f"output_audio_buffer.{moment}"
                transport.on(name, lambda event: told.note(event["type"]))
            await session.connect()
            await told.next("audio_stopped")
        assert [name for name in told.names if name != "audio"] == [
            "agent_start",
            "audio_start",
            "output_audio_buffer.started",
            "output_audio_buffer.stopped",
            "audio_stopped",
        ]


async def test_what_was_said_before_a_tool_is_what_the_turn_said() -> None:
    async with scene() as it:
        server = await it.connect()
        await server.begin("r1")
        first = await server.words("Well.", item_id="m1")
        second = await server.words("Let me see.", item_id="m2")
        call = await server.call(*PARIS[:2])
        await server.end("r1", first, second, call)
        *_, text = await it.told.next("agent_end")
        assert text == "Let me see."
        await server.next("conversation.item.create")


async def test_the_history_and_each_of_its_changes() -> None:
    histories: list[list[dict[str, Any]]] = []
    async with scene() as it:
        it.session.on("history_updated", histories.append)
        server = await it.connect()
        assert histories == [[]]
        image = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
        user = {"id": "u1", "type": "message", "role": "user", "content": [image]}
        await server.say("conversation.item.added", previous_item_id=None, item=user)
        [item] = await it.told.next("history_added")
        assert item["content"] == [image]
        reply = {"id": "m1", "type": "message", "role": "assistant", "content": []}
        await server.say("conversation.item.added", previous_item_id="u1", item=reply)
        [item] = await it.told.next("history_added")
        assert item["item_id"] == "m1"
        assert [len(history) for history in histories] == [0, 1, 2]
        await server.say("conversation.item.deleted", item_id="u1")
        await server.turn(response_id="r1")
        await it.told.next("agent_end")
        assert [item["item_id"] for item in histories[-1]] == ["m1"]
        assert it.session.history == histories[-1]


async def test_raw_events_and_errors_are_passed_on() -> None:
    raw: list[dict[str, Any]] = []
    async with scene() as it:
        it.session.on("transport_event", raw.append)
        server = await it.connect()
        refusal = {"message": "No.", "event_id": "mine"}
        await server.say("error", error=refusal)
        [error] = await it.told.next("error")
        assert (error.error, error.event_id) == (refusal, "mine")
        assert raw == [{"type": "error", "error": refusal}]
        await server.hang_up(1011)
        [error] = await it.told.next("error")
        assert isinstance(error.error, WireClosed)


async def test_an_error_that_nobody_hears_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with scene() as it:
        it.told.ignore("error")
        server = await it.connect()
        await server.say("error", error={"message": "Unheard of."})
        await server.turn(response_id="r1")
        await it.told.next("agent_end")
        assert "Unheard of." in caplog.text
        await it.settled(server)


async def test_a_listener_that_fails_does_no_harm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("broken")

    async with scene() as it:
        for name in ("agent_start", "agent_tool_start", "agent_tool_end"):
            it.session.on(name, broken)
        server = await it.connect()
        await server.turn(PARIS, response_id="r1")
        item = (await server.next("conversation.item.create"))["item"]
        assert item["output"] == "It is sunny in Paris."
        await it.told.next("agent_tool_end")
        assert caplog.text.count("ValueError: broken") == 3


async def test_a_prompt_goes_with_its_agent() -> None:
    stored: RealtimeAgent[Any] = RealtimeAgent(name="Stored", prompt={"id": "pmpt_1"})
    plain: RealtimeAgent[Any] = RealtimeAgent(name="Plain", tools=[get_weather])
    async with scene(stored) as it:
        server = await it.connect()
        first = (await server.next("session.update"))["session"]
        assert first["prompt"]["id"] == "pmpt_1"
        assert "tools" not in first
        assert "instructions" not in first
        await it.session.update_agent(plain)
        await it.settled(server)
        last = [e for e in server.heard if e["type"] == "session.update"][-1]
        assert last["session"]["prompt"] is None
        assert len(last["session"]["tools"]) == 1


async def test_tools_are_given_the_context_and_what_it_cost() -> None:
    async with scene(context={"user": "Ada"}) as it:
        assert it.session.context.context == {"user": "Ada"}
        server = await it.connect()
        await server.turn(response_id="r1")
        await it.told.next("agent_end")
        context = it.session.context
        assert context.context == {"user": "Ada"}
        assert (context.usage.requests, context.usage.total_tokens) == (1, 7)


async def test_an_agent_whose_tools_have_one_name_is_refused() -> None:
    twice: RealtimeAgent[Any] = RealtimeAgent(
        name="Twice", tools=[get_weather, get_weather]
    )
    async with scene(twice) as it:
        with pytest.raises(Exception, match="Duplicate"):
            await it.session.connect()
        assert it.session.transport.status == "disconnected"
        plain: RealtimeAgent[Any] = RealtimeAgent(name="Plain")
        await it.session.update_agent(plain)
        server = await it.connect()
        with pytest.raises(Exception, match="Duplicate"):
            await it.session.update_agent(twice)
        assert it.session.current_agent is plain
        await it.settled(server)


async def test_it_is_known_for_a_while_whose_a_response_was() -> None:
    second: RealtimeAgent[Any] = RealtimeAgent(name="Second")
    async with scene() as it:
        server = await it.connect()
        await server.turn(response_id="r0")
        await it.told.next("agent_end")
        await it.session.update_agent(second)
        await server.say("output_audio_buffer.started", response_id="r0")
        _, agent = await it.told.next("audio_start")
        assert agent.name == "Greeter"
        for number in range(1, 20):
            await server.turn(response_id=f"r{number}")
        await server.say("output_audio_buffer.started", response_id="r1")
        await it.told.next("audio_start")
        await server.say("output_audio_buffer.started", response_id="r0")
        _, agent = await it.told.next("audio_start")
        assert agent is second


async def test_a_handoff_goes_on_where_the_transport_fails() -> None:
    class Stubborn(Fake):
        def update_session_config(self, config: dict[str, Any]) -> None:
            if "audio" in config:
                raise ValueError("no voices")

    bee: RealtimeAgent[Any] = RealtimeAgent(name="Bee", voice="ash")
    agent: RealtimeAgent[Any] = RealtimeAgent(name="Greeter", handoffs=[bee])
    transport: Any = Stubborn()
    async with RealtimeSession(agent, transport=transport) as session:
        told = Told(session)
        await session.connect()
        for call_id in ("c1", "c2"):
            call = FunctionCall("i1", call_id, "transfer_to_bee", "{}", "r1")
            transport.emit("function_call", call)
            [error] = await told.next("error")
        assert session.current_agent is bee
        assert "not found" in error.error["message"]
