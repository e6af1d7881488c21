"""Conversations of openai-agents' RealtimeRunner: the suite for each of its models."""

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
from tests.clients.records import LONG, SILENCE, Event, check, of, said, speech
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agents.realtime import RealtimeModel, RealtimeRunConfig, RealtimeSession
    from agents.realtime.model import RealtimeModelConfig

    from offhook.speech import Engines
    from tests.clients.records import Speak

    # Makes a model for a call's id or none, and how to connect it.
    Make = Callable[[str | None], tuple[RealtimeModel, RealtimeModelConfig]]

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
    made: tuple[RealtimeModel, RealtimeModelConfig],
    agent: RealtimeAgent[Any] | None = None,
    **config: Any,
) -> AsyncIterator[Run]:
    """Run an agent on a model."""
    ASKED.clear()
    agent = agent or RealtimeAgent(
        name="Greeter", instructions="Be brief.", tools=[get_weather]
    )
    model, connecting = made
    run_config: RealtimeRunConfig = {"model_settings": config.pop("settings", {})}
    run_config.update(config)  # type: ignore[typeddict-item]  # whatever a test needs
    runner = RealtimeRunner(agent, model=model, config=run_config)
    async with await runner.run(model_config=connecting) as session:
        run = Run(session)
        await run.until_event("session.updated", 1)
        yield run


class Conversations:
    """What works with each model; its tests inherit it, and give the model.

    Attributes:
        waits: Whether tools that end almost together are sure to get one answer.
    """

    waits = True

    async def test_a_written_turn(self, make: Make) -> None:
        settings = {"modalities": ["text"], "tracing": None}
        async with running(make(None), settings=settings) as run:
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
        assert words[0][1] == "What is 6 times 7?"
        assert "42" in words[1][1]
        assert "4" in words[3][1]
        assert run.tokens > 0
        raw = (r.data for r in run.reports if r.type == "raw_model_event")
        deltas = [data.delta for data in raw if data.type == "output_text_delta"]
        assert "42" in "".join(deltas)

    async def test_a_tool_in_a_spoken_turn(
        self, make: Make, speak: Speak, engines: Engines
    ) -> None:
        async with running(make(None)) as run:
            await run.say(await speak("What's the weather in Paris?") + SILENCE)
            await run.answers(2)
        assert ASKED == ["Paris"]
        check(run.events)
        kinds = run.kinds()
        assert [k for k in kinds if k.startswith("tool")] == ["tool_start", "tool_end"]
        assert {"agent_start", "agent_end", "audio", "audio_end"} <= {*kinds}
        heard = b"".join(r.audio.data for r in run.reports if r.type == "audio")
        assert "sunny" in plain(await engines.recognise(heard))
        [(asker, question), (answerer, answer)] = run.history()
        assert (asker, answerer) == ("user", "assistant")
        assert "weather" in question
        assert "sunny" in answer
        updates = [r for r in run.reports if r.type == "history_updated"]
        items = updates[-1].history
        [call] = [item for item in items if item.type == "function_call"]
        assert (call.status, call.output) == ("completed", "It is sunny.")
        session = of(run.events, "session.updated")[0]["session"]
        assert session["instructions"] == "Be brief."
        assert session["audio"]["output"]["voice"] == "ash"

    async def test_two_tools_get_one_answer(self, make: Make) -> None:
        async with running(make(None)) as run:
            await run.session.send_message("What's the weather in Paris and in Rome?")
            await run.answers(2)
            if not self.waits and said(run.events).count("sunny") < 2:
                await run.answers(3)
        check(run.events)
        assert sorted(ASKED) == ["Paris", "Rome"]
        assert said(run.events).count("sunny") >= 2

    @pytest.mark.parametrize("approve", [True, False])
    async def test_a_tool_that_needs_approval(self, make: Make, approve: bool) -> None:
        careful = function_tool(ask_weather, name_override="get_weather")
        careful.needs_approval = True
        agent: RealtimeAgent[Any] = RealtimeAgent(name="Careful", tools=[careful])
        async with running(make(None), agent) as run:
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

    async def test_push_to_talk(self, make: Make, speak: Speak) -> None:
        create = RealtimeModelSendRawMessage(message={"type": "response.create"})
        questions = {"What is seven times eight?": "56", "What is ten plus two?": "12"}
        async with running(make(None), settings={"turn_detection": None}) as run:
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

    async def test_speech_interrupts_what_is_played(
        self, make: Make, speak: Speak
    ) -> None:
        second = await speak("What is ten plus two?") + SILENCE
        async with running(make(None)) as run:
            await run.session.send_message(f"Repeat after me: {LONG}")
            first = await run.until("audio")
            await run.say(second)
            interrupted = await run.until("audio_interrupted")
            assert interrupted.item_id == first.item_id
            await run.until_event("conversation.item.truncated", 1)
            await run.answers(2)
        check(run.events)
        assert "12" in said(run.events)
        response = of(run.events, "response.done")[0]["response"]
        assert response["status"] == "cancelled"
        assert response["status_details"]["reason"] == "turn_detected"
        assert [role for role, _ in run.history()] == ["user", "assistant"] * 2

    async def test_the_program_interrupts_what_is_played(self, make: Make) -> None:
        # Where the server interrupts by itself, the cancelling may be left to it.
        detection = {"type": "server_vad", "interrupt_response": False}
        settings = {"turn_detection": detection}
        async with running(make(None), settings=settings) as run:
            await run.session.send_message(f"Repeat after me: {LONG}")
            await run.until("audio")
            await run.session.interrupt()
            await run.until("audio_interrupted")
            await run.until_event("conversation.item.truncated", 1)
            await run.session.send_message("What is ten plus two?")
            await run.answers(2)
        check(run.events)
        assert "12" in said(run.events)
        response = of(run.events, "response.done")[0]["response"]
        assert response["status"] == "cancelled"
        assert response["status_details"]["reason"] == "client_cancelled"

    async def test_a_handoff_to_another_agent(self, make: Make, speak: Speak) -> None:
        billing: RealtimeAgent[Any] = RealtimeAgent(
            name="Billing", instructions="Talk about bills.", tools=[get_weather]
        )
        greeter: RealtimeAgent[Any] = RealtimeAgent(
            name="Greeter",
            instructions="Hand over.",
            handoffs=[realtime_handoff(billing)],
        )
        async with running(make(None), greeter) as run:
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

    async def test_a_guardrail_stops_an_answer(self, make: Make) -> None:
        async def no_trains(_: Any, __: Any, output: str) -> GuardrailFunctionOutput:
            return GuardrailFunctionOutput(None, tripwire_triggered="train" in output)

        # The stand-in repeats the name, which must not trip it again.
        guardrail: OutputGuardrail[Any] = OutputGuardrail(no_trains, name="timetable")
        async with running(make(None), output_guardrails=[guardrail]) as run:
            await run.session.send_message(f"Repeat after me: {LONG}")
            tripped = await run.until("guardrail_tripped")
            assert "train" in tripped.message
            await run.answers(2)
        check(run.events)
        done = of(run.events, "response.done")
        first, second = (event["response"]["status"] for event in done)
        assert (first, second) == ("cancelled", "completed")
        assert [role for role, _ in run.history()] == ["user", "assistant"] * 2

    async def test_agents_beside_a_call(
        self, make: Make, local_url: str, speak: Speak, engines: Engines
    ) -> None:
        async with (
            calling(local_url) as caller,
            running(make(caller.call_id)) as run,
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
