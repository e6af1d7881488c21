"""The session as its user sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from offhook import RealtimeAgent, RealtimeSession
from offhook.errors import InvalidRequest, UpstreamError
from offhook.protocol import transport_events
from offhook.protocol.client_config import defaults
from offhook.testing import ScriptedRealtimeTransport
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from tests.agent.custom import Fake
from tests.agent.scripted import Told, get_weather, scene
from tests.clients.records import LONG, SILENCE
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from offhook.speech import Engines
    from tests.agent.scripted import Scene
    from tests.clients.records import Speak

pytestmark = pytest.mark.anyio


def over(local_url: str) -> OpenAIRealtimeWebSocket:
    url = f"{local_url.replace('http', 'ws', 1)}/realtime?model=gpt-realtime"
    return OpenAIRealtimeWebSocket(url=url, api_key="sk-any")


def greeter(**fields: Any) -> RealtimeAgent[Any]:
    instructions = "Greet the user with cheer and answer questions."
    return RealtimeAgent(name="Greeter", instructions=instructions, **fields)


async def test_a_spoken_question_and_a_spoken_answer(
    local_url: str, speak: Speak, engines: Engines
) -> None:
    heard, types = bytearray(), list[str]()
    agent = greeter(tools=[get_weather])
    async with RealtimeSession(agent, transport=over(local_url)) as session:
        told = Told(session)
        session.on("audio", lambda event: heard.extend(event.data))
        session.transport.on("*", lambda event: types.append(event["type"]))
        await session.connect()
        session.send_audio(await speak("What's the weather in Paris?"))
        session.send_audio(SILENCE)
        text = ""
        while "sunny" not in text:
            *_, text = await told.next("agent_end")
        assert told.all("error") == []
        question, call, answer = session.history
    assert types[0] == "session.created"
    assert "sunny" in plain(await engines.recognise(bytes(heard)))
    assert "weather" in question["content"][0]["transcript"].lower()
    assert (call["name"], call["output"]) == ("get_weather", "It is sunny in Paris.")
    assert "sunny" in answer["content"][0]["transcript"].lower()
    names = [name for name in told.names if name not in ("audio", "history_added")]
    assert names == [
        "agent_start",
        "agent_end",
        "agent_tool_start",
        "agent_tool_end",
        "agent_start",
        "audio_start",
        "audio_stopped",
        "agent_end",
    ]
    assert session.usage.requests == 2


async def test_an_answer_is_interrupted(local_url: str) -> None:
    async with RealtimeSession(greeter(), transport=over(local_url)) as session:
        told = Told(session)
        await session.connect()
        session.send_message(f"Repeat after me: {LONG}")
        await told.next("audio")
        session.interrupt()
        await told.next("audio_interrupted")
        await told.next("agent_end")
        session.transport.send_event({"type": "response.create"})
        await told.next("agent_end")


async def test_a_session_is_asked_for_as_agent_and_configuration_say() -> None:
    config = {
        "turnDetection": None,
        "audio": {"output": {"voice": "ash"}},
        "output_modalities": ["text"],
        "providerData": {"max_output_tokens": 5},
    }
    async with scene(
        greeter(tools=[get_weather]), config=config, model="gpt-realtime-mini"
    ) as it:
        server = await it.connect()
        session = (await server.next("session.update"))["session"]
        assert session["model"] == "gpt-realtime-mini"
        assert session["instructions"].startswith("Greet the user")
        assert [tool["name"] for tool in session["tools"]] == ["get_weather"]
        assert session["output_modalities"] == ["text"]
        assert session["max_output_tokens"] == 5
        assert session["audio"]["output"]["voice"] == "ash"
        assert session["audio"]["input"]["turn_detection"] is None
        # What is left out is as in the JavaScript SDK.
        transcription = defaults()["audio"]["input"]["transcription"]
        assert session["audio"]["input"]["transcription"] == transcription


@pytest.mark.parametrize(
    ("options", "tracing"),
    [
        ({}, "auto"),
        ({"workflow_name": "w"}, {"workflow_name": "w"}),
        ({"config": {"tracing": None}}, None),
        ({"tracing_disabled": True, "workflow_name": "w"}, None),
    ],
)
async def test_a_session_is_traced_as_asked(
    options: dict[str, Any], tracing: Any
) -> None:
    async with scene(**options) as it:
        server = await it.connect()
        assert "tracing" not in (await server.next("session.update"))["session"]
        await server.say("session.created", session={"type": "realtime"})
        session = (await server.next("session.update"))["session"]
        assert session == {"type": "realtime", "tracing": tracing}


async def test_messages_pictures_and_audio() -> None:
    text = {"type": "input_text", "text": "Look."}
    image = {"type": "input_image", "image_url": "https://example.com/cat.png"}
    async with scene() as it:
        server = await it.connect()
        session = it.session
        session.send_message("Hello.", {"previous_item_id": "root"})
        created = await server.next("conversation.item.create")
        assert created["previous_item_id"] == "root"
        assert created["item"]["content"] == [{"type": "input_text", "text": "Hello."}]
        await server.next("response.create")
        whole = {"type": "message", "role": "user", "content": [text, image]}
        for message in (whole, [text, image]):
            session.send_message(message, trigger_response=False)
            created = await server.next("conversation.item.create")
            assert created["item"] == whole
        session.add_image(image["image_url"], trigger_response=False)
        created = await server.next("conversation.item.create")
        assert created["item"]["content"] == [image]
        session.send_audio(b"\1\0", commit=True)
        assert (await server.next("input_audio_buffer.append"))["audio"] == "AQA="
        await server.next("input_audio_buffer.commit")
        assert server.kinds().count("response.create") == 1
        assert session.muted is None
        with pytest.raises(InvalidRequest, match="no microphone"):
            session.mute(True)


async def said(it: Scene, server: Any, item_id: str, text: str) -> None:
    content = [{"type": "input_text", "text": text}]
    item = {"id": item_id, "type": "message", "role": "user", "content": content}
    await server.say("conversation.item.added", item=item)
    await it.told.next("history_added")


@pytest.mark.parametrize("as_function", [True, False])
async def test_the_history_is_changed(as_function: bool) -> None:
    async with scene() as it:
        server = await it.connect()
        for item_id in "abc":
            await said(it, server, item_id, item_id)

        def change(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
            items[1]["content"][0]["text"] = "new"
            return items[:2]

        old = it.session.history
        it.session.update_history(change if as_function else change(old))
        assert (await server.next("conversation.item.delete"))["item_id"] == "c"
        assert (await server.next("conversation.item.delete"))["item_id"] == "b"
        created = await server.next("conversation.item.create")
        assert created["item"]["content"] == [{"type": "input_text", "text": "new"}]
        # It is what the server says that it is.
        assert [item["content"][0]["text"] for item in it.session.history] == [
            "a",
            "b",
            "c",
        ]


async def test_a_session_can_be_connected_again() -> None:
    statuses: list[str] = []
    second = greeter().clone(name="Second")
    async with scene(greeter()) as it:
        it.session.transport.on("connection_change", statuses.append)
        for _ in range(2):
            server = await it.connect()
            assert it.session.current_agent.name == "Greeter"
            assert it.session.history == []
            await said(it, server, "a", "Hello.")
            await it.session.update_agent(second)
            await server.turn(response_id="r1")
            await it.told.next("agent_end")
            await it.session.close()
            # What there was is still to be seen.
            assert len(it.session.history) == 1
            assert it.session.current_agent is second
        assert len(it.told.all("agent_start")) == 2
        assert len(it.told.all("agent_handoff")) == 2
        assert it.session.usage.requests == 2
        assert statuses == ["connecting", "connected", "disconnected"] * 2
        await it.session.update_agent(second)
        await it.connect()
        assert it.session.current_agent is second


async def test_an_old_history_can_be_brought_back(local_url: str) -> None:
    async with RealtimeSession(greeter(), transport=over(local_url)) as session:
        told = Told(session)
        await session.connect()
        session.send_message("What is 6 times 7?")
        await told.next("agent_end")
        await session.close()
        old = session.history
        await session.connect()
        assert session.history == []
        session.update_history(old)
        for _ in old:
            await told.next("history_added")
        question, answer = session.history
        assert question["item_id"] == old[0]["item_id"]
        assert question["content"] == old[0]["content"]
        # No client can create an assistant's speech: it is its transcript.
        words = old[1]["content"][0]["transcript"]
        assert answer["content"] == [{"type": "output_text", "text": words}]
        assert told.all("error") == []


async def test_a_lost_connection_can_be_made_again() -> None:
    async with scene() as it:
        server = await it.connect()
        lost = asyncio.Event()
        it.session.transport.once("disconnected", lost.set)
        await server.hang_up()
        async with asyncio.timeout(20):
            await lost.wait()
        with pytest.raises(InvalidRequest, match="not connected"):
            it.session.send_message("Hello?")
        server = await it.connect()
        await server.turn(response_id="r1")
        await it.told.next("agent_end")
        assert len(it.told.all("agent_end")) == 1


async def test_a_session_is_connected_once() -> None:
    async with scene() as it:
        both = await asyncio.gather(
            it.session.connect(), it.session.connect(), return_exceptions=True
        )
        assert both[0] is None
        assert isinstance(both[1], InvalidRequest)
        with pytest.raises(InvalidRequest, match="close it first"):
            await it.session.connect()
        assert it.session.transport.status == "connected"


@pytest.mark.parametrize("waiting_for", ["instructions", "key"])
@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_connecting_can_be_given_up(waiting_for: str, how: str) -> None:
    waits, go = asyncio.Event(), asyncio.Event()

    async def wait(*_: Any) -> str:
        waits.set()
        await go.wait()
        return "sk-late"

    agent = greeter()
    key: Callable[..., Any] | str = "sk-any"
    if waiting_for == "key":
        key = wait
    else:
        agent = RealtimeAgent(name="Slow", instructions=wait)
    async with scene(agent, api_key=key) as it:
        connecting = asyncio.create_task(it.session.connect())
        async with asyncio.timeout(20):
            await waits.wait()
        if how == "cancel":
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
        else:
            await it.session.close()
            go.set()
            with pytest.raises(InvalidRequest, match="before it had connected"):
                await connecting
        assert it.session.transport.status == "disconnected"
        go.set()
        server = await it.connect()
        await it.settled(server)


async def test_a_refused_connection_can_be_tried_again(local_url: str) -> None:
    async with RealtimeSession(greeter(), transport=over(local_url)) as session:
        told = Told(session)
        with pytest.raises(UpstreamError, match="unknown"):
            await session.connect(api_key="ek_unknown")
        await session.connect()
        session.send_message("What is 6 times 7?")
        *_, text = await told.next("agent_end")
        assert "42" in text
        assert len(told.all("agent_start")) == 1


@pytest.mark.parametrize("where", ["session", "transport"])
async def test_a_listener_may_hang_up(where: str) -> None:
    closed = asyncio.Event()
    async with scene() as it:
        session = it.session

        async def close(*_: Any) -> None:
            await session.close()
            closed.set()

        if where == "session":
            session.on("agent_end", close)
        else:
            session.transport.on("turn_done", close)
        server = await it.connect()
        await server.turn(response_id="r1")
        # Less than the time that others have to end.
        async with asyncio.timeout(0.9):
            await closed.wait()
        assert session.transport.status == "disconnected"


async def test_a_listener_may_hang_up_as_soon_as_there_is_a_connection() -> None:
    closed = asyncio.Event()
    async with scene() as it:

        async def close() -> None:
            await it.session.close()
            closed.set()

        it.session.transport.once("connected", close)
        await it.session.connect()
        async with asyncio.timeout(20):
            await closed.wait()
        assert it.session.transport.status == "disconnected"
        await it.server()
        await it.settled(await it.connect())


async def test_a_session_joins_a_call() -> None:
    async with scene() as it:
        await it.session.connect(call_id="rtc_1")
        server = await it.server()
        assert server.query == "call_id=rtc_1"
        session = (await server.next("session.update"))["session"]
        # The call's own settings stay.
        assert {*session} == {"type", "instructions", "tools"}


async def test_listeners_and_streams() -> None:
    calls: list[str] = []

    def note(*_: Any) -> None:
        calls.append("on")

    async with scene() as it:
        it.session.on("agent_end", note)
        it.session.once("agent_end", lambda *_: calls.append("once"))
        stream = it.session.stream("agent_end")
        server = await it.connect()
        await server.turn(response_id="r1")
        _, agent, text = await anext(stream)
        assert (agent.name, text) == ("Greeter", "")
        await server.turn(response_id="r2")
        await anext(stream)
        it.session.off("agent_end", note)
        await server.turn(response_id="r3")
        await anext(stream)
    assert calls == ["on", "once", "on"]


async def test_what_is_needed_before_there_is_a_connection() -> None:
    async with scene() as it:
        session = it.session
        assert (session.history, session.available_mcp_tools) == ([], [])
        assert session.usage.requests == 0
        for send in (session.interrupt, lambda: session.update_history([])):
            with pytest.raises(InvalidRequest, match="not connected"):
                send()
        session.send_audio(b"\0\0")
        await session.close()


def test_the_transport_may_be_named() -> None:
    session = RealtimeSession(
        greeter(), transport="websocket", model="gpt-realtime", api_key="sk-any"
    )
    assert isinstance(session.transport, OpenAIRealtimeWebSocket)
    assert session.transport.on("*", print) is session.transport


async def test_a_transport_of_ones_own() -> None:
    transport: Any = Fake()
    async with RealtimeSession(
        greeter(tools=[get_weather]), transport=transport
    ) as session:
        told = Told(session)
        await session.connect()
        # It tells no events of the Realtime API: the typed ones are enough.
        transport.emit("turn_started", transport_events.TurnStarted("r1", {}))
        item = {"item_id": "i1", "type": "message", "role": "user", "content": []}
        transport.emit("item_update", transport_events.ItemUpdate(item))
        arguments = '{"city": "Paris"}'
        call = transport_events.FunctionCall("i2", "c1", "get_weather", arguments, "r1")
        transport.emit("function_call", call)
        usage = transport_events.Usage(1, 1)
        done = transport_events.TurnDone("r1", "completed", (), usage)
        transport.emit("turn_done", done)
        *_, output, ended = await told.next("agent_tool_end")
        assert (output, ended) == ("It is sunny in Paris.", call)
        assert session.history == [item]
        session.send_message("Hello.")
        session.mute(True)
    names = [name for name, *_ in transport.calls]
    assert names == [
        "send_function_call_output",
        "request_response",
        "send_message",
        "mute",
    ]


async def test_a_users_test_of_an_agent() -> None:
    transport = ScriptedRealtimeTransport()
    agent = greeter(tools=[get_weather])
    async with RealtimeSession(agent, transport=transport) as session:
        texts: list[str] = []
        session.on("agent_end", lambda _, __, text: texts.append(text))
        await session.connect()
        session.send_message("What's the weather in Paris?")
        await transport.expect("response.create")
        await transport.call_function("get_weather", {"city": "Paris"})
        output = {"output": "It is sunny in Paris."}
        await transport.expect("conversation.item.create", item=output)
        await transport.expect("response.create")
        await transport.respond("It is sunny.")
        assert texts == ["", "It is sunny."]


@pytest.mark.parametrize(
    "options", [{"agent": 5}, {"transport": 5}, {"config": "x"}, {"api_key": 5}]
)
def test_an_argument_of_another_kind_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        RealtimeSession(**{"agent": greeter(), "transport": "websocket", **options})


async def test_what_cannot_be_sent_is_refused() -> None:
    async with scene() as it:
        await it.connect()
        with pytest.raises(InvalidRequest, match="'type'"):
            it.session.update_history([{"item_id": "q"}])
        with pytest.raises(InvalidRequest, match="A message"):
            it.session.send_message({"role": "user"})
        with pytest.raises(InvalidRequest, match="RealtimeAgent"):
            await it.session.update_agent("Greeter")  # type: ignore[arg-type]  # a mistake


async def test_a_stream_that_was_made_before_connecting_again_goes_on() -> None:
    async with scene() as it:
        await it.connect()
        await it.session.close()
        starts = it.session.stream("agent_start")
        server = await it.connect()
        await server.begin("r1")
        async with asyncio.timeout(20):
            assert len(await anext(starts)) == 2
