"""What is played to a transport: from connecting to every way to end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.traces.stage import PCM, Stage, called, message, spoken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.traces.stage import Event

    Steps = Callable[[Stage], Awaitable[None]]

CREATE, TRUNCATE = "conversation.item.create", "conversation.item.truncate"
INTERRUPTS = {"type": "server_vad", "interrupt_response": True}
CUTTING: Event = {"audio": {"input": {"turn_detection": INTERRUPTS}, "output": {}}}


@dataclass(frozen=True)
class Script:
    """A script, and how the client connects.

    Attributes:
        decisions: Where ours differs on purpose.
        options: What `connect` is given, as JavaScript calls it.
        agent: Who answers, if it is played to a session of agents.
    """

    steps: Steps
    decisions: tuple[str, ...]
    options: Event = field(default_factory=dict)
    agent: str | None = None


TRANSPORT_SCRIPTS: dict[str, Script] = {}


def script(*decisions: str, **options: Any) -> Callable[[Steps], Steps]:
    def add(steps: Steps) -> Steps:
        TRANSPORT_SCRIPTS[steps.__name__] = Script(steps, decisions, options)
        return steps

    return add


@script()
async def connecting(stage: Stage) -> None:
    await stage.open()
    await stage.send("session.updated", session={"type": "realtime"})
    await stage.do("close")


@script()
async def left_by_the_server(stage: Stage) -> None:
    await stage.open()
    await stage.leave()


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


async def answered(stage: Stage, number: int) -> None:
    await stage.expect("response.create")
    await stage.begin(f"r{number}")
    await stage.end(response_id=f"r{number}")


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


async def speaking(
    stage: Stage, ms: float = 1000, session: Event | None = None
) -> None:
    """Answer, and let the first of it be heard."""
    await stage.open()
    await stage.send("session.updated", session=session or {"type": "realtime"})
    await stage.begin()
    await stage.audio(ms)
    await stage.play(100)


@script()
async def an_interruption(stage: Stage) -> None:
    await speaking(stage)
    await stage.do("interrupt")
    await stage.expect(TRUNCATE)
    await stage.do("message", "Stop")
    await stage.expect(CREATE)
    await stage.end(status="cancelled")
    await answered(stage, 2)
    await stage.do("close")


@script()
async def a_cancellation(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.do("event", {"type": "response.cancel"})
    await stage.do("event", {"type": "response.cancel"})
    await stage.do("interrupt")
    await stage.do("message", "Stop")
    await stage.expect(CREATE)
    await stage.end(status="cancelled")
    await answered(stage, 2)
    await stage.do("close")


@script()
async def two_interruptions(stage: Stage) -> None:
    await speaking(stage)
    await stage.do("interrupt")
    await stage.do("interrupt")
    await stage.expect(TRUNCATE)
    await stage.do("close")


@script("silent")
async def an_interruption_before_any_audio(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.do("interrupt")
    await stage.do("close")


@script("silent")
async def speech_before_any_audio(stage: Stage) -> None:
    await stage.open()
    await stage.begin()
    await stage.speech()
    await stage.do("close")


@script("late")
async def audio_that_comes_late(stage: Stage) -> None:
    await speaking(stage)
    await stage.do("interrupt")
    await stage.expect(TRUNCATE)
    await stage.audio(200)
    await stage.end(status="cancelled")
    await stage.begin("r2")
    await stage.audio(20, "i2", "r2")
    await stage.do("close")


@script()
async def speech_where_the_server_cancels(stage: Stage) -> None:
    await speaking(stage, session=CUTTING)
    await stage.speech()
    await stage.expect(TRUNCATE)
    await stage.do("close")


@script()
async def speech_where_we_cancel(stage: Stage) -> None:
    await speaking(stage)
    await stage.speech()
    await stage.expect("response.cancel")
    await stage.expect(TRUNCATE)
    await stage.do("close")


@script()
async def speech_while_the_rest_is_played(stage: Stage) -> None:
    await speaking(stage)
    await stage.audio_done()
    await stage.end()
    await stage.speech()
    await stage.expect(TRUNCATE)
    await stage.do("close")


@script()
async def speech_after_the_end(stage: Stage) -> None:
    await speaking(stage, 20)
    await stage.audio_done()
    await stage.end()
    await stage.speech()
    await stage.do("close")


@script()
async def speech_where_the_next_audio_is_late(stage: Stage) -> None:
    await speaking(stage, 20.4)
    await stage.speech()
    await stage.expect(TRUNCATE, audio_end_ms=20)
    await stage.do("close")


@script()
async def speech_over_a_response_that_began_unseen(stage: Stage) -> None:
    await stage.open()
    await stage.audio(1000)
    await stage.play(50)
    await stage.speech()
    await stage.expect(TRUNCATE)
    await stage.do("close")


@script("queued")
async def speech_over_the_first_of_two_items(stage: Stage) -> None:
    await speaking(stage)
    await stage.audio(1000, "i2")
    await stage.play(100)
    await stage.speech()
    await stage.expect(TRUNCATE)
    await stage.do("close")


TELEPHONE = {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}


@script()
async def lengths_in_the_format_of_the_session(stage: Stage) -> None:
    await stage.open()
    await stage.send("session.updated", session=TELEPHONE)
    await stage.begin()
    # Of a response that has begun, a later format is none.
    await stage.send("session.updated", session={"type": "realtime"})
    await stage.audio(40, rate=8)
    await stage.play(120)
    await stage.do("interrupt")
    await stage.expect(TRUNCATE, audio_end_ms=40)
    await stage.do("close")


@script()
async def lengths_in_the_format_of_the_response(stage: Stage) -> None:
    await stage.open()
    format_ = {"type": "audio/pcm", "rate": 16000}
    await stage.begin(audio={"output": {"format": format_}})
    await stage.audio(30, rate=32)
    await stage.play(120)
    await stage.do("interrupt")
    await stage.expect(TRUNCATE, audio_end_ms=30)
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


def config(title: str, *decisions: str, **given: Any) -> None:
    """Add a script for a configuration: how it goes out."""

    async def configured(stage: Stage) -> None:
        await stage.open()
        await stage.do("close")

    TRANSPORT_SCRIPTS[f"configured_{title}"] = Script(
        configured, decisions, {"initialSessionConfig": given}
    )


SEMANTIC = {"type": "semantic_vad"}
VAD = {"type": "server_vad", "silenceDurationMs": 0, "interruptResponse": False}
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}
ROLL = {
    "type": "mcp",
    "server_label": "dice",
    "server_url": "https://dice.example",
    "require_approval": {"never": {"tool_names": ["roll"]}},
}
config("agent", instructions="Be brief.", voice="ash")
config("ears", outputModalities=["text"], audio={"input": {"turnDetection": VAD}})
config(
    "mouth",
    outputModalities=["text"],
    audio={"output": {"voice": "ash", "speed": 1.1, "format": PCM}},
    providerData={"max_output_tokens": 5},
)
DEAF = {"turnDetection": None, "transcription": None, "format": "g711_alaw"}
config("deaf", audio={"input": {**DEAF, "noiseReduction": {"type": "near_field"}}})
config(
    "tools",
    tools=[{**LOOK, "strict": True, "description": "Looks"}, ROLL],
    toolChoice="none",
)
config("calls", parallelToolCalls=False, reasoning={"effort": "low"})
config(
    "prompt",
    prompt={"promptId": "pmpt_1", "version": "2", "variables": {"userName": "Ada"}},
)
config(
    "legacy",
    turnDetection=VAD,
    inputAudioFormat="g711_ulaw",
    outputAudioFormat="pcm16",
    inputAudioTranscription={"model": "whisper-1"},
    inputAudioNoiseReduction=None,
    voice="ash",
    speed=1.2,
)
config("mixed", "mixed", turnDetection=SEMANTIC, outputModalities=["text"])
config("mixed_voice", "mixed", speed=1.2, audio={"output": {"voice": "ash"}})
config("both", "both", modalities=["text", "audio"], speed=1.2, voice="ash")
config("as_on_the_wire", "spelling", output_modalities=["text"], tool_choice="none")
config("unknown_format", "format", inputAudioFormat="opus")
config("no_type", "typeless", turnDetection={"eagerness": "low"})
config("model", "model", model="gpt-realtime")
config("untraced", tracing=None)
config("traced", tracing={"workflow_name": "calls"}, voice="ash")


@script(initialSessionConfig={"tracing": None})
async def traced_already(stage: Stage) -> None:
    await stage.open(tracing="auto")
    await stage.do("close")


@script("traced", initialSessionConfig={"tracing": {"workflow_name": "mine"}})
async def traced_otherwise(stage: Stage) -> None:
    await stage.open(updates=1, tracing={"workflow_name": "theirs"})
    await stage.do("close")


@script("kept", initialSessionConfig={"outputModalities": ["text"]})
async def a_change_of_the_session(stage: Stage) -> None:
    await stage.open()
    await stage.do("update", {"instructions": "Be brief.", "tracing": None})
    await stage.expect("session.update")
    await stage.do("close")


@script(initialSessionConfig={"instructions": "Be brief."})
async def a_change_of_what_was_not_given(stage: Stage) -> None:
    await stage.open()
    await stage.do("update", {"instructions": "Be brief.", "voice": "ash"})
    await stage.expect("session.update")
    await stage.do("close")


@script("sideband", callId="rtc_1")
async def a_sideband(stage: Stage) -> None:
    await stage.open(updates=0)
    await stage.do("close")


@script("sideband", callId="rtc_1", initialSessionConfig={"tools": [LOOK]})
async def a_sideband_with_tools(stage: Stage) -> None:
    await stage.open(updates=1)
    await stage.do("close")
