from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from agents import GuardrailFunctionOutput, OutputGuardrail, function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, realtime_handoff
from agents.realtime.model import RealtimeModelListener, RealtimePlaybackTracker
from agents.realtime.model_events import RealtimeModelToolCallEvent
from agents.realtime.model_inputs import (
    RealtimeModelSendInterrupt,
    RealtimeModelSendRawMessage,
    RealtimeModelSendToolOutput,
    RealtimeModelSendUserInput,
)

from offhook.agent import TransportModel
from offhook.errors import InvalidRequest, MissingExtra, UpstreamError
from offhook.protocol import transport_events as told
from offhook.transports.emitter import Emitter
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from tests.clients.records import LONG, SILENCE, check, of, plain, said
from tests.clients.test_openai_agents import Run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agents.realtime import RealtimeRunConfig
    from agents.realtime.model import RealtimeModelConfig
    from agents.realtime.model_events import RealtimeModelEvent

    from offhook.speech import Engines
    from tests.clients.records import Speak

pytestmark = pytest.mark.anyio

ASKED: list[str] = []


@function_tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    ASKED.append(city)
    return "It is sunny."


def over(local_url: str) -> TransportModel:
    url = f"{local_url.replace('http', 'ws', 1)}/realtime?model=gpt-realtime"
    return TransportModel(OpenAIRealtimeWebSocket(url=url, api_key="sk-any"))


@asynccontextmanager
async def running(
    model: TransportModel, agent: RealtimeAgent[Any] | None = None, **config: Any
) -> AsyncIterator[Run]:
    ASKED.clear()
    agent = agent or RealtimeAgent(
        name="Greeter", instructions="Be brief.", tools=[get_weather]
    )
    run_config: RealtimeRunConfig = {"model_settings": config.pop("settings", {})}
    run_config.update(config)  # type: ignore[typeddict-item]  # whatever a test needs
    runner = RealtimeRunner(agent, model=model, config=run_config)
    async with await runner.run() as session:
        run = Run(session)
        await run.until_event("session.updated", 1)
        yield run


def spoken(run: Run) -> bytes:
    return b"".join(r.audio.data for r in run.reports if r.type == "audio")


async def test_a_tool_in_a_spoken_turn(
    local_url: str, speak: Speak, engines: Engines
) -> None:
    async with running(over(local_url)) as run:
        await run.say(await speak("What's the weather in Paris?") + SILENCE)
        await run.answers(2)
    assert ASKED == ["Paris"]
    check(run.events)
    kinds = run.kinds()
    assert [k for k in kinds if k.startswith("tool")] == ["tool_start", "tool_end"]
    assert {"agent_start", "agent_end", "audio", "audio_end"} <= {*kinds}
    assert "sunny" in plain(await engines.recognise(spoken(run)))
    [(asker, question), (answerer, answer)] = run.history()
    assert (asker, answerer) == ("user", "assistant")
    assert "weather" in question
    assert "sunny" in answer
    [call] = [
        item
        for item in [r for r in run.reports if r.type == "history_updated"][-1].history
        if item.type == "function_call"
    ]
    assert (call.status, call.output) == ("completed", "It is sunny.")
    session = of(run.events, "session.updated")[0]["session"]
    assert session["instructions"] == "Be brief."
    assert session["audio"]["output"]["voice"] == "ash"


async def test_two_tools_get_one_answer(local_url: str) -> None:
    async with running(over(local_url)) as run:
        await run.session.send_message("What's the weather in Paris and in Rome?")
        await run.answers(2)
    check(run.events)
    assert sorted(ASKED) == ["Paris", "Rome"]
    assert said(run.events).count("sunny") == 2


async def test_a_written_turn(local_url: str) -> None:
    settings = {"modalities": ["text"], "tracing": None}
    async with running(over(local_url), settings=settings) as run:
        await run.session.send_message("What is 6 times 7?")
        await run.answers(1)
        question: Any = {"type": "input_text", "text": "What is 2 plus 2?"}
        await run.session.send_message(
            {"type": "message", "role": "user", "content": [question]}
        )
        await run.answers(2)
    check(run.events)
    words = run.history()
    assert [role for role, _ in words] == ["user", "assistant"] * 2
    assert "42" in words[1][1]
    assert "4" in words[3][1]
    assert run.tokens > 0
    deltas = [r.data.delta for r in run.reports if deltas_text(r)]
    assert "42" in "".join(deltas)


def deltas_text(report: Any) -> bool:
    kind = report.data.type if report.type == "raw_model_event" else None
    return bool(kind == "output_text_delta")


async def test_the_connection_is_told(local_url: str) -> None:
    model = over(local_url)
    async with running(model) as run:
        pass
    statuses = [
        report.data.status
        for report in run.reports
        if report.type == "raw_model_event" and report.data.type == "connection_status"
    ]
    assert statuses == ["connecting", "connected"]
    async with running(model) as run:
        await run.session.send_message("What is 6 times 7?")
        await run.answers(1)
        with pytest.raises(InvalidRequest, match="close the other"):
            await model.connect({})
    assert "42" in said(run.events)


async def test_push_to_talk(local_url: str, speak: Speak) -> None:
    async with running(over(local_url), settings={"turn_detection": None}) as run:
        await run.say(await speak("What is seven times eight?"))
        await run.session.send_audio(b"", commit=True)
        await run.until_event("conversation.item.done", 1)
        create = RealtimeModelSendRawMessage(message={"type": "response.create"})
        await run.session.model.send_event(create)
        await run.answers(1)
    check(run.events)
    assert "56" in said(run.events)
    assert not of(run.events, "input_audio_buffer.speech_started")


async def test_speech_interrupts_what_is_played(local_url: str, speak: Speak) -> None:
    second = await speak("What is ten plus two?") + SILENCE
    async with running(over(local_url)) as run:
        await run.session.send_message(f"Repeat after me: {LONG}")
        first = await run.until("audio")
        await run.say(second)
        interrupted = await run.until("audio_interrupted")
        assert interrupted.item_id == first.item_id
        await run.until_event("conversation.item.truncated", 1)
        await run.answers(2)
    check(run.events)
    assert "12" in said(run.events)
    details = of(run.events, "response.done")[0]["response"]["status_details"]
    assert details["reason"] == "turn_detected"
    assert [role for role, _ in run.history()] == ["user", "assistant"] * 2


async def test_the_program_interrupts_what_is_played(local_url: str) -> None:
    detection = {"type": "server_vad", "interrupt_response": False}
    async with running(over(local_url), settings={"turn_detection": detection}) as run:
        await run.session.send_message(f"Repeat after me: {LONG}")
        await run.until("audio")
        await run.session.interrupt()
        await run.until("audio_interrupted")
        await run.until_event("conversation.item.truncated", 1)
        await run.session.send_message("What is ten plus two?")
        await run.answers(2)
    check(run.events)
    assert "12" in said(run.events)


async def test_a_handoff_to_another_agent(local_url: str, speak: Speak) -> None:
    billing: RealtimeAgent[Any] = RealtimeAgent(
        name="Billing", instructions="Talk about bills.", tools=[get_weather]
    )
    greeter: RealtimeAgent[Any] = RealtimeAgent(
        name="Greeter", instructions="Hand over.", handoffs=[realtime_handoff(billing)]
    )
    async with running(over(local_url), greeter) as run:
        await run.say(await speak("Please transfer me to billing.") + SILENCE)
        handoff = await run.until("handoff")
        assert handoff.to_agent.name == "Billing"
        await run.answers(2)
        await run.session.send_message("What's the weather in Paris?")
        await run.answers(4)
    check(run.events)
    assert ASKED == ["Paris"]
    updated = of(run.events, "session.updated")[-1]["session"]
    assert updated["instructions"] == "Talk about bills."


async def test_a_guardrail_stops_an_answer(local_url: str) -> None:
    async def no_trains(_: Any, __: Any, output: str) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(None, tripwire_triggered="train" in output)

    # The stand-in repeats the name, which must not trip it again.
    guardrail: OutputGuardrail[Any] = OutputGuardrail(no_trains, name="timetable")
    async with running(over(local_url), output_guardrails=[guardrail]) as run:
        await run.session.send_message(f"Repeat after me: {LONG}")
        await run.until("guardrail_tripped")
        await run.answers(2)
    check(run.events)
    first, second = (e["response"]["status"] for e in of(run.events, "response.done"))
    assert (first, second) == ("cancelled", "completed")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"headers": {"a": "b"}}, "headers to the transport"),
        ({"playback_tracker": RealtimePlaybackTracker()}, "reported=True"),
        ({"api_key": "ek_unknown"}, "secret is unknown"),
    ],
)
async def test_what_cannot_be_connected_can_be_tried_again(
    local_url: str, options: RealtimeModelConfig, message: str
) -> None:
    model = over(local_url)
    with pytest.raises((InvalidRequest, UpstreamError), match=message):
        await model.connect(options)
    async with running(model):
        pass


class Fake(Emitter):
    """A transport that only notes what it is to do."""

    def __init__(self) -> None:
        super().__init__()
        self.status = "disconnected"
        self.calls: list[tuple[Any, ...]] = []

    async def connect(self, **_: Any) -> None:
        self.status = "connected"

    async def drain(self) -> None:
        pass

    async def close(self) -> None:
        self.status = "disconnected"

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **named: self.calls.append((name, *args, *named.values()))


class Listening(RealtimeModelListener):
    def __init__(self) -> None:
        self.events: asyncio.Queue[RealtimeModelEvent] = asyncio.Queue()

    async def on_event(self, event: RealtimeModelEvent) -> None:
        self.events.put_nowait(event)

    async def next(self) -> Any:
        async with asyncio.timeout(5):
            return await self.events.get()


@asynccontextmanager
async def faked() -> AsyncIterator[tuple[Fake, TransportModel, Listening]]:
    fake, listening = Fake(), Listening()
    transport: Any = fake
    model = TransportModel(transport)
    model.add_listener(listening)
    model.add_listener(listening)
    await model.connect({"initial_model_settings": {"tracing": None}})
    yield fake, model, listening
    await model.close()


def started(response_id: str) -> told.TurnStarted:
    return told.TurnStarted(response_id, {})


async def test_a_broken_connection_is_an_exception_and_no_end() -> None:
    async with faked() as (fake, _, listening):
        fake.status = "disconnected"
        error = UpstreamError("gone")
        fake.emit("connection_change", "disconnected")
        fake.emit("error", told.TransportError(error))
        fake.emit("disconnected")
        fake.emit("*", {"type": "last"})
        kinds = [(await listening.next()).type for _ in range(3)]
    assert kinds == ["connection_status", "exception", "raw_server_event"]


async def test_an_orderly_end_ends_the_stream() -> None:
    async with faked() as (fake, _, listening):
        fake.emit("connection_change", "disconnecting")
        fake.emit("connection_change", "disconnected")
        fake.emit("disconnected")
        kinds = [(await listening.next()).type for _ in range(2)]
    assert kinds == ["connection_status", "end_of_stream"]


async def test_what_is_refused_is_an_error_and_what_is_unknown_is_none() -> None:
    async with faked() as (fake, model, listening):
        fake.emit("*", {"type": "never.heard.of"})
        fake.emit("never.heard.of", {"type": "never.heard.of"})
        fake.emit("error", told.TransportError({"message": "No.", "code": "no"}))
        assert (await listening.next()).type == "raw_server_event"
        error = (await listening.next()).error
        assert (error.message, error.code) == ("No.", "no")
        model.remove_listener(listening)
        fake.emit("*", {"type": "unseen"})


async def test_a_listener_that_fails_is_told() -> None:
    class Failing(RealtimeModelListener):
        async def on_event(self, event: RealtimeModelEvent) -> None:
            if event.type != "exception":
                raise ValueError("broken")

    async with faked() as (fake, model, listening):
        model.add_listener(Failing())
        fake.emit("item_deleted", told.ItemDeleted("item_1"))
        assert (await listening.next()).item_id == "item_1"
        assert str((await listening.next()).exception) == "broken"


@pytest.mark.parametrize(
    ("interrupt", "ongoing", "calls"),
    [
        ({}, "r1", [("interrupt",)]),
        ({"response_id": "r1", "force_response_cancel": True}, "r1", [("interrupt",)]),
        ({"response_id": "r1", "playback_only": True}, None, [("interrupt",)]),
        # Another answer is not to be stopped.
        ({"response_id": "r1", "playback_only": True}, "r2", []),
        ({"response_id": "r1"}, "r2", []),
        ({"response_id": "r0"}, "r1", []),
        # It has not spoken.
        ({"response_id": "r2"}, "r2", ["r2"]),
        ({"response_id": "r1", "cancel_response_only": True}, "r1", ["r1"]),
        ({"response_id": "r1", "cancel_response_only": True}, None, []),
    ],
)
async def test_an_interruption_may_be_about_one_response(
    interrupt: dict[str, Any], ongoing: str | None, calls: list[Any]
) -> None:
    async with faked() as (fake, model, _):
        fake.emit("turn_started", started("r1"))
        fake.emit("audio", told.Audio(b"", "r1", "item_1", 0))
        if ongoing != "r1":
            fake.emit("turn_done", told.TurnDone("r1", "completed", (), told.Usage()))
        if ongoing == "r2":
            fake.emit("turn_started", started("r2"))
        await model.send_event(RealtimeModelSendInterrupt(**interrupt))
        expected = [
            ("send_event", {"type": "response.cancel", "response_id": call})
            if isinstance(call, str)
            else call
            for call in calls
        ]
        assert fake.calls == expected


async def test_an_interruption_that_contradicts_itself() -> None:
    async with faked() as (_, model, _):
        both = RealtimeModelSendInterrupt(
            playback_only=True, force_response_cancel=True
        )
        with pytest.raises(ValueError, match="contradict"):
            await model.send_event(both)
        nothing = RealtimeModelSendInterrupt(cancel_response_only=True)
        with pytest.raises(ValueError, match="response_id"):
            await model.send_event(nothing)


async def test_where_the_server_plays_the_last_item_is_the_interrupted_one() -> None:
    async with faked() as (fake, _, listening):
        fake.emit("audio_interrupted", told.AudioInterrupted())
        fake.emit("audio_transcript_delta", told.Delta("Hello", "item_1", "r1"))
        fake.emit("audio_interrupted", told.AudioInterrupted())
        assert (await listening.next()).delta == "Hello"
        assert (await listening.next()).item_id == "item_1"


async def test_an_event_may_depend_on_a_condition() -> None:
    async with faked() as (fake, model, _):
        event = RealtimeModelSendUserInput("Hello")
        assert not await model.send_event_if(event, lambda: False)
        assert fake.calls == []
        assert await model.send_event_if(event, lambda: True)
        assert fake.calls == [("send_message", "Hello")]


async def test_a_tools_output() -> None:
    async with faked() as (fake, model, _):
        call = RealtimeModelToolCallEvent("f", "call_1", "{}", "item_1")
        await model.send_event(RealtimeModelSendToolOutput(call, "yes", False))
        [(name, called, output, start)] = fake.calls
        assert (name, output, start) == ("send_function_call_output", "yes", False)
        assert (called.id, called.call_id) == ("item_1", "call_1")
        await model.send_event(RealtimeModelSendToolOutput(call, "yes", True))
        assert [name for name, *_ in fake.calls[2:]] == ["request_response"]


async def test_a_listener_may_close() -> None:
    class Closing(RealtimeModelListener):
        def __init__(self) -> None:
            self.closed = asyncio.Event()

        async def on_event(self, event: RealtimeModelEvent) -> None:
            await model.close()
            self.closed.set()

    async with faked() as (fake, model, _):
        closing = Closing()
        model.add_listener(closing)
        fake.emit("item_deleted", told.ItemDeleted("item_1"))
        async with asyncio.timeout(5):
            await closing.closed.wait()


def test_without_the_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("agent", "agent.model", "agent.events", "agent.settings"):
        monkeypatch.delitem(sys.modules, f"offhook.{name}")
    monkeypatch.setitem(sys.modules, "agents", None)
    for name in [name for name in sys.modules if name.startswith("agents.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtra, match=r"offhook\[agents\]"):
        import_module("offhook.agent")
