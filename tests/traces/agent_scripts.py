"""What is played to a session of agents: tools, consent, handoffs and guardrails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.traces.script import CREATE, TRUNCATE, Script, adding
from tests.traces.stage import called, message

if TYPE_CHECKING:
    from tests.traces.stage import Event, Stage

AGENT_SCRIPTS: dict[str, Script] = {}
script = adding(AGENT_SCRIPTS)


def said(words: str, item_id: str = "i1") -> Event:
    return message(item_id, "assistant", {"type": "output_audio", "transcript": words})


async def leave(stage: Stage) -> None:
    await stage.play(0)
    await stage.do("close")


@script(agent="Greeter")
async def an_agent(stage: Stage) -> None:
    await stage.open()
    await leave(stage)


@script(agent="Greeter")
async def an_agents_turn(stage: Stage) -> None:
    await stage.open()
    await stage.do("message", "Hello")
    await stage.expect("response.create")
    asked = message("u1", "user", {"type": "input_text", "text": "Hello"})
    await stage.item("added", asked, previous_item_id=None)
    await stage.item("done", asked, previous_item_id=None)
    await stage.begin()
    await stage.words("Good day.")
    await stage.audio(20)
    await stage.audio(20)
    await stage.audio_done()
    await stage.item("done", said("Good day."), previous_item_id="u1")
    await stage.end(said("Good day."))
    await leave(stage)


@script(agent="Greeter")
async def an_agent_that_is_interrupted(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.audio(1000)
    await stage.play(50)
    await stage.do("interrupt")
    await stage.expect(TRUNCATE)
    await stage.end(status="cancelled")
    await leave(stage)


@script("retrieve", agent="Greeter")
async def an_answer_that_is_cut(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.item("added", said(""), previous_item_id=None)
    await stage.audio(1000)
    await stage.play(50)
    await stage.item("done", said("Once upon a time"), previous_item_id=None)
    await stage.do("interrupt")
    await stage.expect(TRUNCATE)
    await stage.end(status="cancelled")
    cut = {"item_id": "i1", "content_index": 0, "audio_end_ms": 50}
    await stage.send("conversation.item.truncated", **cut)
    await stage.item("retrieved", said(""))
    await leave(stage)


@script("retrieve", agent="Greeter")
async def words_of_a_caller(stage: Stage) -> None:
    await stage.open()
    heard = message("u1", "user", {"type": "input_audio", "transcript": None})
    await stage.item("added", {**heard, "status": "in_progress"}, previous_item_id=None)
    kind = "conversation.item.input_audio_transcription.completed"
    await stage.send(kind, item_id="u1", content_index=0, transcript="Hello")
    await leave(stage)


@script(agent="Greeter")
async def places_of_items(stage: Stage) -> None:
    await stage.open()
    for item_id, place in (("a", None), ("b", None), ("c", "a"), ("d", "a")):
        item = message(item_id, "user", {"type": "input_text", "text": item_id})
        await stage.item("added", item, previous_item_id=place)
    item = message("e", "user", {"type": "input_text", "text": "e"})
    await stage.item("added", item)
    await stage.send("conversation.item.deleted", item_id="c")
    await leave(stage)


async def calling(stage: Stage, *names: str, arguments: str = "{}") -> None:
    """Let the model call functions one after the other, and take their outputs."""
    await stage.open()
    await stage.begin()
    for number, name in enumerate(names, 1):
        await stage.call(name, arguments, number)
        await output(stage, number)


SECOND = {"type": "function_call_output", "call_id": "call_2", "output": "A cat"}


async def output(stage: Stage, number: int = 1, **fields: Any) -> None:
    event = await stage.expect(CREATE, **fields)
    item = {**event["item"], "id": f"o{number}", "status": "completed"}
    await stage.item("added", item)
    await stage.item("done", item)


async def finish(stage: Stage, *names: str) -> None:
    """End the response that called; another is asked for."""
    await stage.end(*(called(name, number=n) for n, name in enumerate(names, 1)))
    await stage.expect("response.create")
    await stage.begin("r2")
    await stage.end(response_id="r2")
    await leave(stage)


@script(agent="Greeter")
async def an_agents_tool(stage: Stage) -> None:
    await calling(stage, "look")
    await finish(stage, "look")


@script(agent="Greeter")
async def an_agents_tool_with_an_object(stage: Stage) -> None:
    await calling(stage, "count")
    await finish(stage, "count")


@script(agent="Greeter")
async def two_tools_of_an_agent(stage: Stage) -> None:
    await calling(stage, "look", "count")
    await finish(stage, "look", "count")


@script(agent="Greeter")
async def a_tool_that_fails(stage: Stage) -> None:
    await calling(stage, "fail")
    await finish(stage, "fail")


@script(agent="Greeter")
async def a_tool_that_is_unknown(stage: Stage) -> None:
    await calling(stage, "nope")
    await stage.end(called("nope"))
    await leave(stage)


@script("arguments", agent="Greeter")
async def arguments_that_are_no_json(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.call("look", '{"x":')
    await stage.call("look", number=2)
    # Of the first, not both send an output.
    await output(stage, 2, item=SECOND)
    await finish(stage, "look", "look")


async def asking(stage: Stage, decision: str, *reason: str | None) -> None:
    await stage.open()
    await stage.begin()
    await stage.call("ask")
    await stage.do(decision, *reason)
    await output(stage)
    await stage.end(called("ask"))
    await stage.expect("response.create")
    await leave(stage)


@script(agent="Greeter")
async def a_tool_that_is_approved(stage: Stage) -> None:
    await asking(stage, "approve")


@script(agent="Greeter")
async def a_tool_that_is_rejected(stage: Stage) -> None:
    await asking(stage, "reject", None)


@script(agent="Greeter")
async def a_tool_that_is_rejected_for_a_reason(stage: Stage) -> None:
    await asking(stage, "reject", "Not now")


@script(agent="Greeter")
async def a_tool_that_is_rejected_with_nothing(stage: Stage) -> None:
    await asking(stage, "reject", "")


@script("handoff", agent="Greeter")
async def a_handoff(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.call("to_billing")
    await stage.end(called("to_billing"))
    await output(stage)
    await stage.expect("response.create")
    await stage.begin("r2")
    await stage.end(response_id="r2")
    await leave(stage)


@script(agent="Greeter")
async def another_agent(stage: Stage) -> None:
    await stage.open()
    await stage.do("agent", "Billing")
    await stage.expect("session.update")
    await stage.begin()
    await stage.end()
    await leave(stage)


@script("feedback", agent="Guarded")
async def a_guardrail_in_mid_audio(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.audio(1000)
    await stage.play(50)
    await stage.words("The next train")
    await stage.expect(TRUNCATE)
    await stage.expect(CREATE)
    await stage.end(status="cancelled")
    await stage.expect("response.create")
    await leave(stage)


@script("feedback", agent="Guarded")
async def a_guardrail_at_the_end(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.audio(1000)
    await stage.play(50)
    await stage.words("A train")
    await stage.audio_done()
    await stage.end(said("A train"))
    await stage.expect(TRUNCATE)
    await stage.expect(CREATE)
    await stage.expect("response.create")
    await leave(stage)


@script("feedback", agent="Guarded")
async def a_guardrail_on_text(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    place = {"item_id": "i1", "response_id": "r1"}
    index = {"output_index": 0, "content_index": 0}
    kind = "response.output_text.delta"
    await stage.send(kind, **place, **index, delta="The next train")
    await stage.expect("response.cancel")
    await stage.expect(CREATE)
    await stage.end(status="cancelled")
    await stage.expect("response.create")
    await leave(stage)


@script("approval", agent="Roller")
async def consent_to_a_servers_tool(stage: Stage) -> None:
    await stage.open()
    call = {"name": "roll", "arguments": "{}", "server_label": "dice"}
    tool = {"name": "roll", "description": "Rolls", "input_schema": {"type": "object"}}
    tools = [tool, {**tool, "name": "cheat"}]
    listed = {"id": "l1", "type": "mcp_list_tools", "server_label": "dice"}
    for _ in range(2):
        await stage.item("done", {**listed, "tools": tools})
    await stage.item("done", {**call, "id": "a1", "type": "mcp_approval_request"})
    await stage.do("approve")
    await stage.expect(CREATE)
    await stage.item("done", {**call, "id": "m1", "type": "mcp_call", "output": "6"})
    await stage.expect("response.create")
    await leave(stage)


@script(agent="Greeter")
async def an_error_in_a_session(stage: Stage) -> None:
    await stage.open()
    await stage.raw({"type": "error", "error": {"message": "No."}})
    await leave(stage)


@script(agent="Greeter")
async def words_and_a_call(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.words("One moment.")
    await stage.item("done", said("One moment."), previous_item_id=None)
    await stage.call("look")
    await output(stage)
    await stage.end(said("One moment."), called("look"))
    await stage.expect("response.create")
    await leave(stage)


@script("replayed", agent="Greeter")
async def a_call_that_comes_twice(stage: Stage) -> None:
    await calling(stage, "look")
    await stage.call("look")
    await finish(stage, "look")


@script("handoff", agent="Greeter")
async def a_handoff_and_a_tool(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.call("to_billing")
    await stage.call("look", number=2)
    await output(stage, 2, item=SECOND)
    await stage.end(called("to_billing"), called("look", number=2))
    await stage.expect("response.create")
    # Which is behind the other output.
    handed = {"call_id": "call_1", "output": '{"assistant":"Billing"}'}
    await stage.item("added", {**SECOND, **handed, "id": "o1"})
    await stage.begin("r2")
    await stage.end(response_id="r2")
    await leave(stage)
