"""`openai-agents`: voice agents in Python, which run their tools beside the call."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from agents import GuardrailFunctionOutput, OutputGuardrail, function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, realtime_handoff
from agents.realtime.model_inputs import RealtimeModelSendRawMessage

from offhook.audio import resample
from tests.caller import calling
from tests.clients.places import AGENT, LOCAL, RELAY, Place
from tests.clients.records import (
    CALLER_TURN,
    LONG,
    SILENCE,
    SPOKEN_TURN,
    TOOL_TURN,
    Event,
    check,
    course,
    of,
    plain,
    said,
    speech,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agents.realtime import RealtimeRunConfig, RealtimeSession
    from agents.realtime.model import RealtimeModelConfig

    from offhook.speech import Engines
    from tests.clients.records import Speak

pytestmark = pytest.mark.anyio

ASKED: list[str] = []


def ask_weather(city: str) -> str:
    """Tell the weather in a city."""
    ASKED.append(city)
    return "It is sunny."


get_weather = function_tool(ask_weather, name_override="get_weather")


class Run:
    """A session of the SDK's, and all that it reported."""

    def __init__(self, session: RealtimeSession) -> None:
        self.session = session
        self.reports: list[Any] = []
        self.events: list[Event] = []
        self.tokens = 0
        self._coming = aiter(session)

    async def next(self) -> Any:
        """Receive a report; errors are none that we would take."""
        report: Any = await anext(self._coming)
        assert report.type != "error", report.error
        self.reports.append(report)
        if report.type == "raw_model_event":
            assert report.data.type != "exception", report.data
            if report.data.type == "raw_server_event":
                self.events.append(report.data.data)
            elif report.data.type == "usage":
                self.tokens += report.data.usage.total_tokens
        return report

    async def until(self, kind: str) -> Any:
        """Receive up to the next report of a type."""
        return await self._until(lambda report: report.type == kind)

    async def until_event(self, kind: str, count: int) -> None:
        """Receive until there have been so many events of a type, from the start."""
        while len(of(self.events, kind)) < count:
            await self._until(lambda report: report.type == "raw_model_event")

    async def answers(self, count: int) -> None:
        """Receive until so many responses have ended, from the start."""
        await self.until_event("rate_limits.updated", count)

    async def _until(self, wanted: Callable[[Any], bool]) -> Any:
        async with asyncio.timeout(20):
            while not wanted(report := await self.next()):
                pass
        return report

    async def say(self, pcm: bytes) -> None:
        """Speak: 200 ms at a time."""
        for at in range(0, len(pcm), 9600):
            await self.session.send_audio(pcm[at : at + 9600])

    def kinds(self) -> list[str]:
        """Return what was reported, but for the raw events."""
        kinds = (report.type for report in self.reports)
        return [kind for kind in kinds if kind != "raw_model_event"]

    def history(self) -> list[tuple[str, str]]:
        """Return who said what, as the SDK has it last."""
        newest = [r for r in self.reports if r.type == "history_updated"][-1].history
        return [
            (item.role, " ".join(filter(None, map(words, item.content))))
            for item in newest
            if item.type == "message"
        ]


def words(content: Any) -> str | None:
    return getattr(content, "transcript", None) or getattr(content, "text", None)


@asynccontextmanager
async def running(
    local_url: str,
    agent: RealtimeAgent[Any] | None = None,
    *,
    call_id: str = "",
    key: str = "sk-any",
    **config: Any,
) -> AsyncIterator[Run]:
    agent = agent or RealtimeAgent(
        name="Greeter", instructions="Be brief.", tools=[get_weather]
    )
    run_config: RealtimeRunConfig = {"model_settings": config.pop("settings", {})}
    run_config.update(config)  # type: ignore[typeddict-item]  # whatever a test needs
    runner = RealtimeRunner(agent, config=run_config)
    url = f"{local_url.replace('http', 'ws')}/realtime"
    model: RealtimeModelConfig = {"api_key": key}
    if call_id:
        model |= {"url": f"{url}?call_id={call_id}", "call_id": call_id}
    else:
        model["url"] = f"{url}?model=gpt-realtime-2.1"
    async with await runner.run(model_config=model) as session:
        run = Run(session)
        await run.until_event("session.updated", 1)
        yield run


@pytest.mark.parametrize("place", [LOCAL, RELAY, AGENT], indirect=True)
async def test_a_written_turn(place: Place) -> None:
    async with running(place.url, key=await place.key()) as run:
        await run.session.send_message("What is 6 times 7?")
        await run.answers(1)
    check(run.events)
    assert course(run.events)[-len(SPOKEN_TURN) :] == SPOKEN_TURN
    [(asker, question), (answerer, answer)] = run.history()
    assert (asker, answerer) == ("user", "assistant")
    assert question == "What is 6 times 7?"
    assert "42" in answer
    assert run.tokens > 0


@pytest.mark.parametrize("place", [LOCAL, RELAY], indirect=True)
async def test_a_tool_in_a_spoken_turn(
    place: Place, speak: Speak, engines: Engines
) -> None:
    ASKED.clear()
    async with running(place.url, key=await place.key()) as run:
        await run.say(await speak("What's the weather in Paris?") + SILENCE)
        await run.answers(2)
    assert ASKED == ["Paris"]
    check(run.events)
    # The SDK sends the output as soon as it can, and asks for the answer when it may.
    kinds = [k for k in course(run.events) if k != "conversation.item.retrieved"]
    begin = kinds.index("input_audio_buffer.speech_started")
    assert [k for k in kinds[begin:] if k.startswith(("response", "rate"))] == [
        k for k in TOOL_TURN + SPOKEN_TURN if k.startswith(("response", "rate"))
    ]
    assert kinds[begin:][: len(CALLER_TURN)] == CALLER_TURN
    assert [k for k in run.kinds() if k.startswith("tool")] == [
        "tool_start",
        "tool_end",
    ]
    assert "sunny" in said(run.events)
    assert "sunny" in plain(await engines.recognise(speech(run.events)))
    [(_, question), (_, answer)] = run.history()
    assert "weather" in question
    assert "sunny" in answer


async def test_two_tools_in_one_response(local_url: str) -> None:
    ASKED.clear()
    async with running(local_url) as run:
        await run.session.send_message("What's the weather in Paris and in Rome?")
        await run.answers(2)
    check(run.events)
    assert sorted(ASKED) == ["Paris", "Rome"]
    assert said(run.events).count("sunny") == 2


@pytest.mark.parametrize("approve", [True, False])
async def test_a_tool_that_needs_approval(local_url: str, approve: bool) -> None:
    ASKED.clear()
    careful = function_tool(ask_weather, name_override="get_weather")
    careful.needs_approval = True
    agent: RealtimeAgent[Any] = RealtimeAgent(name="Careful", tools=[careful])
    async with running(local_url, agent) as run:
        await run.session.send_message("What's the weather in Paris?")
        asked = await run.until("tool_approval_required")
        if approve:
            await run.session.approve_tool_call(asked.call_id)
        else:
            no = "You may not know."
            await run.session.reject_tool_call(asked.call_id, rejection_message=no)
        await run.answers(2)
    check(run.events)
    assert ASKED == (["Paris"] if approve else [])
    assert ("sunny" if approve else "may not know") in said(run.events)


async def test_push_to_talk(local_url: str, speak: Speak) -> None:
    settings = {"turn_detection": None}
    async with running(local_url, settings=settings) as run:
        create = RealtimeModelSendRawMessage(message={"type": "response.create"})
        questions = {"What is seven times eight?": "56", "What is ten plus two?": "12"}
        for turn, (question, answer) in enumerate(questions.items(), 1):
            await run.say(await speak(question))
            await run.session.send_audio(b"", commit=True)
            await run.until_event("conversation.item.done", 2 * turn - 1)
            await run.session.model.send_event(create)
            await run.answers(turn)
            assert answer in said(run.events)
    check(run.events)
    assert not of(run.events, "input_audio_buffer.speech_started")
    assert [role for role, _ in run.history()] == ["user", "assistant"] * 2


@pytest.mark.parametrize("place", [LOCAL, RELAY, AGENT], indirect=True)
async def test_speech_interrupts_what_is_played(place: Place, speak: Speak) -> None:
    second = await speak("What is ten plus two?") + SILENCE
    async with running(place.url, key=await place.key()) as run:
        await run.session.send_message(f"Repeat after me: {LONG}")
        await run.until("audio")
        await run.say(second)
        await run.until("audio_interrupted")
        await run.until_event("conversation.item.truncated", 1)
        await run.until_event("conversation.item.retrieved", 1)
        await run.answers(2)
    check(run.events)
    assert "12" in said(run.events)
    first = of(run.events, "response.done")[0]["response"]
    assert first["status"] == "cancelled"
    assert first["status_details"]["reason"] == "turn_detected"
    assert [role for role, _ in run.history()] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]


async def test_the_program_interrupts_what_is_played(local_url: str) -> None:
    # Where the server interrupts by itself, the SDK leaves the cancelling to it.
    detection = {"type": "server_vad", "interrupt_response": False}
    async with running(local_url, settings={"turn_detection": detection}) as run:
        await run.session.send_message(f"Repeat after me: {LONG}")
        await run.until("audio")
        await run.session.interrupt()
        await run.until("audio_interrupted")
        await run.until_event("conversation.item.truncated", 1)
        await run.session.send_message("What is ten plus two?")
        await run.answers(2)
    check(run.events)
    assert "12" in said(run.events)
    first = of(run.events, "response.done")[0]["response"]
    assert first["status"] == "cancelled"
    assert first["status_details"]["reason"] == "client_cancelled"


async def test_a_handoff_to_another_agent(local_url: str, speak: Speak) -> None:
    ASKED.clear()
    billing: RealtimeAgent[Any] = RealtimeAgent(
        name="Billing", instructions="Talk about bills.", tools=[get_weather]
    )
    greeter: RealtimeAgent[Any] = RealtimeAgent(
        name="Greeter", instructions="Hand over.", handoffs=[realtime_handoff(billing)]
    )
    async with running(local_url, greeter) as run:
        await run.say(await speak("Please transfer me to billing.") + SILENCE)
        handoff = await run.until("handoff")
        assert handoff.from_agent.name == "Greeter"
        assert handoff.to_agent.name == "Billing"
        await run.answers(2)
        # Now the other agent's tools are there.
        await run.session.send_message("What's the weather in Paris?")
        await run.answers(4)
    check(run.events)
    assert ASKED == ["Paris"]
    assert "sunny" in said(run.events)
    updated = of(run.events, "session.updated")[-1]["session"]
    assert updated["instructions"] == "Talk about bills."


async def test_a_guardrail_stops_an_answer(local_url: str) -> None:
    async def no_trains(_: Any, __: Any, output: str) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(None, tripwire_triggered="train" in output)

    guardrail = OutputGuardrail(no_trains, name="No timetables")
    async with running(local_url, output_guardrails=[guardrail]) as run:
        await run.session.send_message(f"Repeat after me: {LONG}")
        tripped = await run.until("guardrail_tripped")
        assert "train" in tripped.message
        await run.answers(2)
    check(run.events)
    first, second = (e["response"]["status"] for e in of(run.events, "response.done"))
    assert (first, second) == ("cancelled", "completed")
    assert [role for role, _ in run.history()] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]


async def test_agents_beside_a_call(
    local_url: str, speak: Speak, engines: Engines
) -> None:
    ASKED.clear()
    async with (
        calling(local_url) as caller,
        running(local_url, call_id=caller.call_id) as run,
    ):
        caller.microphone.say(await speak("What's the weather in Paris?"))
        await run.until_event("output_audio_buffer.stopped", 1)
        pcm = resample(bytes(caller.heard), 48000, 24000)
        assert "sunny" in plain(await engines.recognise(pcm))
    assert ASKED == ["Paris"]
    check(run.events)
    check(caller.events)
    assert "sunny" in said(run.events)
    assert speech(run.events) == b""
    [(_, question), (_, answer)] = run.history()
    assert "weather" in question
    assert "sunny" in answer
