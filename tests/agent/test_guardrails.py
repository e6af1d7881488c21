"""Guardrails: when they run, and what follows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from agents import GuardrailFunctionOutput, OutputGuardrail

from offhook.agent import Blocked, RealtimeAgent
from tests.agent.scripted import scene

if TYPE_CHECKING:
    from tests.agent.scripted import Scene, Server

pytestmark = pytest.mark.anyio


class Ear:
    """A guardrail that notes what it was asked, and trips at a word."""

    def __init__(self, word: str = "secret", name: str = "discretion") -> None:
        self.asked: list[str] = []
        self.changed = asyncio.Event()
        self.word = word
        self.guardrail: OutputGuardrail[Any] = OutputGuardrail(self.judge, name=name)

    async def judge(self, _: Any, __: Any, text: str) -> GuardrailFunctionOutput:
        self.asked.append(text)
        self.changed.set()
        tripped = self.word in text
        return GuardrailFunctionOutput({"found": self.word}, tripwire_triggered=tripped)


async def handled(it: Scene, server: Server) -> None:
    """Wait until the session has taken all that was said."""
    reached = asyncio.Event()
    it.session.transport.once("the.mark", lambda _: reached.set())
    await server.say("the.mark")
    async with asyncio.timeout(20):
        await reached.wait()


def withheld(create: dict[str, Any]) -> str:
    item = create["item"]
    assert (item["type"], item["role"]) == ("message", "user")
    text: str = item["content"][0]["text"]
    return text


async def test_an_answer_is_stopped_while_it_is_spoken() -> None:
    ear = Ear()
    async with scene(output_guardrails=[ear.guardrail]) as it:
        server = await it.connect()
        await it.settled(server)
        since = len(server.heard)
        await server.begin("r1")
        text = "The secret is " + "x" * 100
        message = await server.words(text)
        _, agent, error, blocked = await it.told.next("guardrail_tripped")
        assert agent.name == "Greeter"
        assert error.guardrail_result.guardrail is ear.guardrail
        assert blocked == Blocked("r1", "m1")
        told = withheld(await server.next("conversation.item.create"))
        assert "discretion" in told
        assert '{"found": "secret"}' in told
        await server.end("r1", message, status="cancelled")
        await server.next("response.create")
        kinds = [
            "response.cancel",
            "conversation.item.truncate",
            "conversation.item.create",
            "response.create",
        ]
        assert [k for k in server.kinds(since=since) if k in kinds] == kinds
        names = ["guardrail_tripped", "audio_interrupted", "agent_end"]
        assert [name for name in it.told.names if name in names] == names
        await it.settled(server)
        # It is stopped once, though the whole answer would trip it again.
        assert len(it.told.all("guardrail_tripped")) == 1


async def test_a_short_answer_is_checked_when_it_is_whole() -> None:
    ear = Ear()
    async with scene(output_guardrails=[ear.guardrail]) as it:
        server = await it.connect()
        await it.settled(server)
        since = len(server.heard)
        await server.begin("r1")
        message = await server.words("A secret.")
        await handled(it, server)
        assert ear.asked == []
        await server.end("r1", message)
        await it.told.next("guardrail_tripped")
        await server.next("response.create")
        assert ear.asked == ["A secret."]
        assert server.kinds(since=since) == [
            "conversation.item.truncate",
            "conversation.item.create",
            "response.create",
        ]
        names = ["agent_end", "guardrail_tripped", "audio_interrupted"]
        assert [name for name in it.told.names if name in names] == names


async def test_written_words_are_stopped_by_their_response() -> None:
    ear = Ear()
    async with scene(output_guardrails=[ear.guardrail]) as it:
        server = await it.connect()
        await server.begin("r1")
        message = await server.words("secret" * 20, spoken=False)
        assert (await server.next("response.cancel"))["response_id"] == "r1"
        await server.end("r1", message, status="cancelled")
        await server.next("response.create")
        assert it.told.all("audio_interrupted") == []
        # What is over is not to be cancelled.
        await server.begin("r2")
        message = await server.words("secret", by="r2", item_id="m2", spoken=False)
        await server.end("r2", message)
        await server.next("response.create")
        assert server.kinds().count("response.cancel") == 1


async def test_an_unfinished_answer_is_checked_now_and_then() -> None:
    ear = Ear()
    async with scene(
        output_guardrails=[ear.guardrail],
        output_guardrail_settings={"debounce_text_length": 10},
    ) as it:
        server = await it.connect()
        await server.begin("r1")
        for piece in ("12345", "67890", "1", "234567890abcdefghijklm"):
            await server.words(piece)
        await server.words("another", item_id="m2")
        await server.end("r1")
        await it.told.next("agent_end")
        await it.settled(server)
        whole = "12345678901234567890abcdefghijklm"
        assert ear.asked == ["1234567890", whole, "another"]


async def test_without_a_length_only_the_whole_answer_is_checked() -> None:
    ear = Ear()
    async with scene(
        output_guardrails=[ear.guardrail],
        output_guardrail_settings={"debounce_text_length": -1},
    ) as it:
        server = await it.connect()
        await server.begin("r1")
        message = await server.words("x" * 500)
        await handled(it, server)
        assert ear.asked == []
        await server.end("r1", message)
        await it.told.next("agent_end")
        await it.settled(server)
        assert ear.asked == ["x" * 500]


async def test_what_is_over_is_told_and_no_more() -> None:
    allowed = asyncio.Event()

    async def slow(_: Any, __: Any, text: str) -> GuardrailFunctionOutput:
        await allowed.wait()
        return GuardrailFunctionOutput(None, tripwire_triggered="secret" in text)

    guardrail: OutputGuardrail[Any] = OutputGuardrail(slow, name="slow")
    async with scene(output_guardrails=[guardrail]) as it:
        server = await it.connect()
        await server.begin("r1")
        await server.end("r1", await server.words("A secret."))
        await server.begin("r2")
        await handled(it, server)
        allowed.set()
        *_, blocked = await it.told.next("guardrail_tripped")
        assert blocked.response_id == "r1"
        await it.settled(server)
        assert "conversation.item.create" not in server.kinds()
        assert it.told.all("audio_interrupted") == []


async def test_the_first_of_several_trips_and_those_of_agents_run_too() -> None:
    own, shared, cancelled = Ear(name="own"), Ear("nothing"), asyncio.Event()

    async def endless(_: Any, __: Any, ___: str) -> GuardrailFunctionOutput:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return GuardrailFunctionOutput(None, tripwire_triggered=True)

    agent: RealtimeAgent[Any] = RealtimeAgent(
        name="Greeter",
        output_guardrails=[own.guardrail, OutputGuardrail(endless), shared.guardrail],
    )
    async with scene(agent, output_guardrails=[shared.guardrail]) as it:
        server = await it.connect()
        await server.begin("r1")
        await server.end("r1", await server.words("A secret."))
        _, _, error, _ = await it.told.next("guardrail_tripped")
        assert error.guardrail_result.guardrail.get_name() == "own"
        async with asyncio.timeout(20):
            await cancelled.wait()
        assert own.asked == shared.asked == ["A secret."]


async def test_two_parts_of_an_answer_trip_it_once() -> None:
    ear = Ear()
    async with scene(output_guardrails=[ear.guardrail]) as it:
        server = await it.connect()
        await server.begin("r1")
        first = await server.words("A secret.")
        second = await server.words("Another secret.", item_id="m2")
        await server.end("r1", first, second)
        await server.next("response.create")
        await it.settled(server)
        assert ear.asked == ["A secret.", "Another secret."]
        assert len(it.told.all("guardrail_tripped")) == 1


async def test_a_guardrail_that_fails_is_an_error_and_stops_nothing() -> None:
    def broken(_: Any, __: Any, ___: str) -> GuardrailFunctionOutput:
        raise ValueError("no judge")

    ear = Ear()
    broken_one: OutputGuardrail[Any] = OutputGuardrail(broken)
    async with scene(output_guardrails=[broken_one, ear.guardrail]) as it:
        server = await it.connect()
        await server.begin("r1")
        await server.end("r1", await server.words("A secret."))
        [error] = await it.told.next("error")
        assert str(error.error) == "no judge"
        await it.told.next("guardrail_tripped")


async def test_hanging_up_ends_the_guardrails() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(_: Any, __: Any, ___: str) -> GuardrailFunctionOutput:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return GuardrailFunctionOutput(None, tripwire_triggered=True)

    async with scene(output_guardrails=[OutputGuardrail(endless)]) as it:
        server = await it.connect()
        await server.begin("r1")
        await server.end("r1", await server.words("A secret."))
        async with asyncio.timeout(20):
            await begun.wait()
        await it.session.close()
        assert ended.is_set()
        assert it.told.all("error") == it.told.all("guardrail_tripped") == []


async def test_the_words_of_an_answer_that_was_joined_late() -> None:
    ear = Ear()
    async with scene(output_guardrails=[ear.guardrail]) as it:
        server = await it.connect()
        await server.words("secret " * 20)
        await it.told.next("guardrail_tripped")
        await server.next("conversation.item.create")


async def test_details_that_are_no_json() -> None:
    ear = Ear()

    async def judge(_: Any, __: Any, text: str) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(ear, tripwire_triggered=True)

    guardrail: OutputGuardrail[Any] = OutputGuardrail(judge, name="odd")
    async with scene(output_guardrails=[guardrail]) as it:
        server = await it.connect()
        await server.begin("r1")
        await server.end("r1", await server.words("Anything."))
        assert "Ear object" in withheld(await server.next("conversation.item.create"))


async def test_answers_that_are_blocked_in_a_row_come_to_an_end() -> None:
    ear = Ear()
    async with scene(output_guardrails=[ear.guardrail]) as it:
        server = await it.connect()

        async def blocked(response_id: str) -> None:
            await server.begin(response_id)
            text = "The secret is " + "x" * 100
            message = await server.words(
                text, by=response_id, item_id=f"item_{response_id}", spoken=False
            )
            await it.told.next("guardrail_tripped")
            await server.end(response_id, message, status="cancelled")

        for number in range(2):
            await blocked(f"r{number}")
            told = (await server.next("conversation.item.create"))["item"]
            item = {"id": f"told_{number}", **told}
            await server.say("conversation.item.added", item=item)
            await server.next("response.create")
        since = len(server.heard)
        await blocked("r2")
        [error] = await it.told.next("error")
        assert error.error.code == "guardrail_blocked_in_a_row"
        await it.settled(server)
        kinds = [event["type"] for event in server.heard[since:]]
        assert "conversation.item.create" not in kinds
        assert "response.create" not in kinds
        turn = {"id": "u1", "type": "message", "role": "user", "content": []}
        await server.say("conversation.item.added", item=turn)
        await blocked("r3")
        await server.next("response.create")
