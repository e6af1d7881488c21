"""The GA session object: its fields, its defaults, and how updates merge.

Source: OpenAI's API reference for `session.update`; where the reference and the
running service differ, `effective()` follows the reference.
"""

from __future__ import annotations

import copy
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from offhook.errors import InvalidRequest
from offhook.protocol.mcp import McpTool
from offhook.protocol.validation import Strict, check

Session = dict[str, Any]

DEFAULT_MODEL = "gpt-realtime-2.1"
DEFAULT_VOICE = "marin"
DEFAULT_INSTRUCTIONS = (
    "You are a friendly voice assistant. Answer briefly and in plain words."
)

_SERVER_VAD: Session = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD: Session = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}


class PcmFormat(Strict):
    """24 kHz signed 16-bit little-endian mono."""

    type: Literal["audio/pcm"]
    rate: Literal[24000] = 24000


class G711Format(Strict):
    """8 kHz G.711, mu-law or A-law."""

    type: Literal["audio/pcmu", "audio/pcma"]


AudioFormat = Annotated[PcmFormat | G711Format, Field(discriminator="type")]


class Transcription(Strict):
    """How the caller's speech is written down; absent means not at all."""

    model: str = "gpt-transcribe"
    language: str | None = None
    languages: list[str] | None = None
    keywords: list[str] | None = None
    prompt: str | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class NoiseReduction(Strict):
    """Accepted for compatibility: the local endpoint's ear does not need it."""

    type: Literal["near_field", "far_field"]
    strength: float | None = None


class ServerVad(Strict):
    """A turn ends after a fixed stretch of silence."""

    type: Literal["server_vad"]
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Field(ge=0, le=5000)] = 300
    silence_duration_ms: Annotated[int, Field(ge=0, le=10000)] = 500
    idle_timeout_ms: Annotated[int, Field(ge=5000, le=30000)] | None = None
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(Strict):
    """A turn ends when the caller seems to be done."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class AudioInput(Strict):
    """What the caller sends."""

    format: AudioFormat | None = None
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetection | None = None


class CustomVoice(Strict):
    """A voice of the account's own."""

    id: str


class AudioOutput(Strict):
    """What the caller hears."""

    format: AudioFormat | None = None
    voice: str | CustomVoice | None = None
    speed: Annotated[float, Field(ge=0.25, le=1.5)] | None = None


class Audio(Strict):
    """Both directions."""

    input: AudioInput | None = None
    output: AudioOutput | None = None


class FunctionTool(Strict):
    """A function of the client's."""

    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


Tool = Annotated[FunctionTool | McpTool, Field(discriminator="type")]
Modalities = Annotated[list[Literal["text", "audio"]], Field(min_length=1)]
MaxTokens = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]
ToolChoice = Literal["auto", "none", "required"] | dict[str, Any]


class SessionPatch(Strict):
    """The `session` of a `session.update`: only what is present changes."""

    type: Literal["realtime"]
    object: str | None = None
    id: str | None = None
    expires_at: int | None = None
    # Both Agents SDKs repeat the model in every update: tolerated, without effect.
    model: str | None = None
    output_modalities: Modalities | None = None
    instructions: str | None = None
    audio: Audio | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None
    max_output_tokens: MaxTokens | None = None
    tracing: Literal["auto"] | dict[str, Any] | None = None
    truncation: Literal["auto", "disabled"] | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None


_PATCH: TypeAdapter[SessionPatch] = TypeAdapter(SessionPatch)
_FIXED = ("id", "object", "type", "model", "expires_at")


def effective(session_id: str, *, expires_at: int, model: str | None) -> Session:
    """Return a session with every default filled in."""
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model or DEFAULT_MODEL,
        "output_modalities": ["audio"],
        "instructions": DEFAULT_INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": expires_at,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": dict(_SERVER_VAD),
            },
            "output": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "voice": DEFAULT_VOICE,
                "speed": 1.0,
            },
        },
        "include": None,
    }


def merged(session: Session, patch: Any, *, spoken: bool = False) -> Session:
    """Return `session` with `patch` applied; neither is changed.

    Args:
        session: An effective session.
        patch: The `session` of a `session.update`, as it came.
        spoken: Whether the model has spoken already; then its voice is fixed.

    Raises:
        InvalidRequest: The patch is malformed or touches what is fixed.
    """
    _refuse_other_type(patch)
    given = check(_PATCH, patch, "session").model_dump(exclude_unset=True)
    result = copy.deepcopy(session)
    audio = given.pop("audio", None) or {}
    result.update({k: v for k, v in given.items() if k not in _FIXED})
    _merge_audio(result, audio, spoken=spoken)
    if result["output_modalities"] not in (["text"], ["audio"]):
        # The GA API speaks or writes; speech always comes with its transcript.
        result["output_modalities"] = ["audio"]
    empty = {"instructions": "", "tools": [], "tool_choice": "auto"}
    result.update({k: v for k, v in empty.items() if result[k] is None})
    return result


def _refuse_other_type(patch: Any) -> None:
    if isinstance(patch, dict) and patch.get("type") == "transcription":
        raise InvalidRequest(
            "Passing a transcription session update event to a realtime session "
            "is not allowed.",
            code="invalid_value",
            param="session.type",
        )


def _merge_audio(result: Session, audio: Session, *, spoken: bool) -> None:
    given_in = audio.get("input") or {}
    given_out = audio.get("output") or {}
    current = result["audio"]
    voice = given_out.get("voice", current["output"]["voice"])
    if isinstance(voice, dict):
        # Effective sessions name a voice of the account's own by its id alone.
        voice = given_out["voice"] = voice["id"]
    if spoken and voice != current["output"]["voice"]:
        raise InvalidRequest(
            "Cannot update a conversation's voice if assistant audio is present.",
            code="cannot_update_voice",
            param="session.audio.output.voice",
        )
    current["input"].update({k: v for k, v in given_in.items() if k != "format"})
    current["output"].update(
        {k: v for k, v in given_out.items() if v is not None and k != "format"}
    )
    for side, given in (("input", given_in), ("output", given_out)):
        if format_ := given.get("format"):
            if format_["type"] == "audio/pcm":
                format_ = {"type": "audio/pcm", "rate": 24000}
            current[side]["format"] = format_
    if detection := given_in.get("turn_detection"):
        # Replaced as a unit: what the update leaves out falls back to its default.
        base = _SERVER_VAD if detection["type"] == "server_vad" else _SEMANTIC_VAD
        current["input"]["turn_detection"] = {**base, **detection}
