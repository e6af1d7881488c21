"""What a transport is asked for: configurations, and how they go out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.traces.script import Script, adding
from tests.traces.stage import PCM

if TYPE_CHECKING:
    from tests.traces.stage import Stage

CONFIG_SCRIPTS: dict[str, Script] = {}
script = adding(CONFIG_SCRIPTS)


def config(title: str, *decisions: str, **given: Any) -> None:
    """Add a script for a configuration: how it goes out."""

    async def configured(stage: Stage) -> None:
        await stage.open()
        await stage.do("close")

    CONFIG_SCRIPTS[f"configured_{title}"] = Script(
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
