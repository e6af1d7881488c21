"""What is played to a transport: events, items, tools, and every way to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.traces.script import CREATE, Script, adding, answered
from tests.traces.stage import called, message, refuse, spoken

if TYPE_CHECKING:
    from tests.traces.stage import Event, Stage

TRANSPORT_SCRIPTS: dict[str, Script] = {}
script = adding(TRANSPORT_SCRIPTS)


@script()
async def connecting(stage: Stage) -> None:
    await stage.open()
    await stage.send("session.updated", session={"type": "realtime"})
    await stage.do("close")


@script()
async def left_by_the_server(stage: Stage) -> None:
    await stage.open()
    await stage.leave()


TRANSPORT_SCRIPTS["not_let_in"] = Script(refuse, ("not_let_in",))


@script("lost")
async def lost(stage: Stage) -> None:
    await stage.open()
    await stage.leave(1011)


@script()
async def refused(stage: Stage) -> None:
    await stage.open()
    await stage.do("event", {"type": "no.such.event", "event_id": "mine"})
    event = await stage.expect("no.such.event")
    error = {"type": "invalid_request_error", "message": "What is that?"}
    await stage.raw(
        {"type": "error", "error": {**error, "event_id": event["event_id"]}}
    )
    await stage.do("close")


@script("unknown", "no_id")
async def unknown_events(stage: Stage) -> None:
    await stage.open()
    await stage.send("something.new", x=1)
    await stage.raw({"type": "response.created", "response": {"id": "r1"}})
    await stage.do("close")


@script("malformed")
async def malformed_item(stage: Stage) -> None:
    await stage.open()
    untold = message("u1", "user", {"type": "input_audio"})
    await stage.item("done", untold, previous_item_id=None)
    await stage.leave()


@script("states", "retrieve")
async def a_spoken_turn(stage: Stage) -> None:
    await stage.open()
    heard = message("u1", "user", {"type": "input_audio", "transcript": None})
    await stage.item("added", heard, previous_item_id=None)
    await stage.item("done", heard, previous_item_id=None)
    kind = "conversation.item.input_audio_transcription.completed"
    await stage.send(kind, item_id="u1", content_index=0, transcript="Hello")
    await answer(stage, "Good day.")
    await stage.do("close")


async def answer(stage: Stage, words: str) -> None:
    """Answer in full, as OpenAI does."""
    begun = {"id": "i1", "type": "message", "role": "assistant", "content": []}
    said = {"type": "output_audio", "transcript": words}
    done = message("i1", "assistant", said)
    await stage.begin()
    await stage.output("added", {**begun, "status": "in_progress"})
    await stage.item("added", {**begun, "status": "in_progress"}, previous_item_id="u1")
    for word in words.split():
        await stage.words(word)
        await stage.audio(20)
    await stage.audio_done()
    await stage.output("done", done)
    await stage.item("done", done, previous_item_id="u1")
    await stage.end(done)


@script("states")
async def a_written_turn(stage: Stage) -> None:
    await stage.open()
    await stage.do("message", "Hello", {"previous_item_id": "u0"})
    await stage.expect("response.create")
    asked = message("u1", "user", {"type": "input_text", "text": "Hello"})
    await stage.item("added", asked, previous_item_id="u0")
    await stage.item("done", asked, previous_item_id="u0")
    await stage.begin()
    place = spoken("i1")
    await stage.send("response.output_text.delta", **place, delta="Good day.")
    done = message("i1", "assistant", {"type": "output_text", "text": "Good day."})
    await stage.output("done", done)
    await stage.end(done)
    await stage.do("close")


@script("pictures")
async def a_picture(stage: Stage) -> None:
    await stage.open()
    url = "data:image/png;base64,AAAA"
    await stage.do("image", url)
    await stage.expect(CREATE)
    shown = message("u1", "user", {"type": "input_image", "image_url": url})
    await stage.item("added", shown, previous_item_id=None)
    await stage.item("done", shown, previous_item_id=None)
    await stage.do("close")


@script()
async def audio_that_is_committed(stage: Stage) -> None:
    await stage.open()
    await stage.do("audio", "AAAA", True)
    await stage.expect("input_audio_buffer.commit")
    await stage.do("close")


@script()
async def items_without_a_status(stage: Stage) -> None:
    await stage.open()
    item = message("u1", "user", {"type": "input_text", "text": "Hi"})
    del item["status"]
    await stage.item("added", item)
    await stage.item("done", item)
    old = message("i1", "assistant", {"type": "audio", "transcript": "Good day"})
    del old["status"]
    await stage.item("retrieved", old)
    await stage.send("conversation.item.deleted", item_id="u1")
    await stage.do("close")


@script()
async def responses_that_say_little(stage: Stage) -> None:
    await stage.open()
    await stage.send("response.created", response={"id": "r1"})
    await stage.send("response.done", response={"id": "r1"})
    await stage.send("response.created", response={})
    await stage.send("response.done", response={"output": None, "usage": None})
    await stage.do("close")


@script("aside")
async def a_response_beside_the_conversation(stage: Stage) -> None:
    await stage.open()
    await stage.begin(conversation_id=None)
    await stage.output("done", message("i1", "assistant", TEXT))
    await stage.end(message("i1", "assistant", TEXT))
    await stage.do("close")


TEXT = {"type": "output_text", "text": "Good day."}


@script("system")
async def a_message_of_the_system(stage: Stage) -> None:
    await stage.open()
    text = {"type": "input_text", "text": "Be brief."}
    await stage.item("done", message("s1", "system", text))
    await stage.do("close")


@script("undescribed")
async def tools_without_a_description(stage: Stage) -> None:
    await stage.open()
    tool = {"name": "roll", "description": None, "input_schema": {"type": "object"}}
    listed = {"id": "l1", "type": "mcp_list_tools", "server_label": "dice"}
    await stage.item("done", {**listed, "tools": [tool]})
    await stage.do("close")


FUNCTION = {"id": "f1", "callId": "call_1", "name": "look", "arguments": "{}"}


async def outputs(stage: Stage, *numbers: int, respond: bool = True) -> None:
    for number in numbers:
        own = {"id": f"f{number}", "callId": f"call_{number}"}
        await stage.do("output", {**FUNCTION, **own}, "A cat", respond)
        event = await stage.expect(CREATE)
        output = {**event["item"], "id": f"o{number}", "status": "completed"}
        await stage.item("added", output)
        await stage.item("done", output)


@script("states", "output")
async def a_tool(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.call("look")
    await outputs(stage, 1)
    await stage.end(called("look"))
    await stage.expect("response.create")
    await stage.do("close")


@script("states", "output")
async def two_tools(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.call("look")
    await stage.call("look", number=2)
    await outputs(stage, 1, 2)
    await stage.end(called("look"), called("look", number=2))
    await stage.expect("response.create")
    await stage.begin("r2")
    await stage.end(response_id="r2")
    await stage.do("close")


@script("states", "output")
async def an_output_without_an_answer(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.call("look")
    await outputs(stage, 1, respond=False)
    await stage.end(called("look"))
    await stage.do("close")


async def asked(stage: Stage) -> None:
    await stage.do("message", "One")
    await stage.do("message", "Two")
    await stage.do("request", {"instructions": "Be brief."})
    await stage.do("message", "Three")


@script()
async def requests_that_wait(stage: Stage) -> None:
    await stage.open()
    await asked(stage)
    for number in (1, 2, 3, 4):
        await answered(stage, number)
    await stage.do("close")


@script()
async def a_request_that_is_refused(stage: Stage) -> None:
    await stage.open()
    await stage.begin("r0")
    await asked(stage)
    await stage.end(response_id="r0")
    event = await stage.expect("response.create")
    for event_id in ("another", event["event_id"]):
        error = {"message": "No.", "code": "any", "event_id": event_id}
        await stage.raw({"type": "error", "error": error})
    for number in (1, 2, 3):
        await answered(stage, number)
    await stage.do("close")


@script()
async def audio_that_is_over_before_the_response(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.audio(20)
    await stage.do("message", "And now?")
    await stage.audio_done()
    await stage.expect(CREATE)
    await stage.end()
    await answered(stage, 2)
    await stage.do("close")


def entry(item_id: str, text: str = "", **fields: Any) -> Event:
    """Make an item as a history has it."""
    content = [{"type": "input_text", "text": text or item_id}]
    own = {"itemId": item_id, "type": "message", "role": "user", "content": content}
    return {**own, "status": "completed", **fields}


OLD = [entry(item_id) for item_id in "abcd"]
NEW = [OLD[0], entry("b", "other"), entry("n"), OLD[3]]


@script()
async def another_history(stage: Stage) -> None:
    await stage.open()
    await stage.do("history", OLD, NEW)
    await stage.expect(CREATE)
    await stage.expect(CREATE)
    await stage.do("close")


@script("in_flight")
async def another_history_twice(stage: Stage) -> None:
    await stage.open()
    await stage.do("history", OLD, NEW)
    await stage.do("history", OLD, [*NEW, entry("z")])
    await stage.expect(CREATE)
    await stage.expect(CREATE)
    await stage.expect(CREATE)
    await stage.do("close")


@script("speech_as_text")
async def another_history_with_speech(stage: Stage) -> None:
    await stage.open()
    said = [{"type": "output_audio", "transcript": "Good day"}]
    await stage.do("history", [], [entry("i", role="assistant", content=said)])
    await stage.do("close")


CALL = {
    "id": "m1",
    "type": "mcp_call",
    "name": "roll",
    "arguments": "{}",
    "server_label": "dice",
}


@script("retrieve", "states", "approval")
async def a_tool_of_a_server(stage: Stage) -> None:
    await stage.open()
    tool = {"name": "roll", "description": "Rolls", "input_schema": {"type": "object"}}
    listed = {"id": "l1", "type": "mcp_list_tools", "server_label": "dice"}
    await stage.send("mcp_list_tools.in_progress", item_id="l1")
    await stage.item("done", {**listed, "tools": [tool]})
    asked = {**CALL, "id": "a1", "type": "mcp_approval_request"}
    await stage.item("added", asked)
    await stage.item("done", asked)
    await stage.do("mcp", "a1", False, "Not now")
    await stage.do("mcp", "a1", True)
    await stage.expect(CREATE, previous_item_id="a1")
    await stage.expect(CREATE, previous_item_id="a1")
    await stage.item("added", {**CALL, "output": None})
    await stage.send("response.mcp_call.in_progress", output_index=0, item_id="m1")
    await stage.output("done", {**CALL, "output": "6"})
    await stage.item("done", {**CALL, "output": "6"})
    await stage.do("close")
