"""The GA session object: its defaults, and how updates merge.

Source: OpenAI's API reference for `session.update`; where the reference and the
running service differ, `effective()` follows the reference.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

from pydantic import TypeAdapter

from offhook.errors import InvalidRequest
from offhook.protocol import mcp
from offhook.protocol.session_fields import (
    Audio,
    Include,
    MaxTokens,
    Modalities,
    PromptTemplate,
    Reasoning,
    RetentionRatio,
    Tool,
    ToolChoice,
    Tracing,
    TranscriptionAudio,
)
from offhook.protocol.session_names import DEFAULT_MODEL
from offhook.protocol.validation import Strict, check

Session = dict[str, Any]

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
_DEFAULTS: Session = {"transcription": {"model": "gpt-transcribe"}}
# A transcription session answers nothing.
_ANSWERING = ("idle_timeout_ms", "create_response", "interrupt_response")


class _Patch(Strict):
    """What every session has; an update changes what is present."""

    object: str | None = None
    id: str | None = None
    expires_at: int | None = None
    include: Include | None = None


class SessionPatch(_Patch):
    """The `session` of a `session.update`: only what is present changes."""

    type: Literal["realtime"]
    # Both Agents SDKs repeat the model in every update: tolerated, without effect.
    model: str | None = None
    output_modalities: Modalities | None = None
    instructions: str | None = None
    audio: Audio | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    max_output_tokens: MaxTokens | None = None
    tracing: Literal["auto"] | Tracing | None = None
    truncation: Literal["auto", "disabled"] | RetentionRatio | None = None
    prompt: PromptTemplate | None = None


class TranscriptionPatch(_Patch):
    """The same for a session that only writes down what it hears."""

    type: Literal["transcription"]
    audio: TranscriptionAudio | None = None


_PATCHES: dict[str, TypeAdapter[Any]] = {
    "realtime": TypeAdapter(SessionPatch),
    "transcription": TypeAdapter(TranscriptionPatch),
}
_FIXED = ("id", "object", "type", "model", "expires_at")
# What a client clears by null falls back to this.
_CLEARED: Session = {
    "instructions": "",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "truncation": "auto",
}


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


def transcription(session_id: str, *, expires_at: int) -> Session:
    """Return a session that only writes down what it hears, defaults filled in."""
    heard = {k: v for k, v in _SERVER_VAD.items() if k not in _ANSWERING}
    return {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": session_id,
        "expires_at": expires_at,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": dict(_DEFAULTS["transcription"]),
                "noise_reduction": None,
                "turn_detection": heard,
            },
        },
        "include": None,
    }


def requested(session_id: str, patch: Any, *, expires_at: int) -> Session:
    """Return the session that a mint or an offer asks for; None is the default one.

    Raises:
        InvalidRequest: It is malformed.
    """
    kind = patch.get("type") if isinstance(patch, dict) else None
    if isinstance(kind, str) and kind not in _PATCHES:
        raise InvalidRequest(
            f"Invalid value: '{kind[:64]}'. Supported values are: 'realtime' and "
            "'transcription'.",
            code="invalid_value",
            param="session.type",
        )
    if kind == "transcription":
        return merged(transcription(session_id, expires_at=expires_at), patch)
    model = patch.get("model") if isinstance(patch, dict) else None
    named = model if isinstance(model, str) else None
    session = effective(session_id, expires_at=expires_at, model=named)
    return session if patch is None else merged(session, patch)


def shown(session: Session) -> Session:
    """Return a session as clients may see it: without the keys of its MCP servers."""
    if not session.get("tools"):
        return session
    return {**session, "tools": [mcp.shown(tool) for tool in session["tools"]]}


def merged(
    session: Session, patch: Any, *, spoken: bool = False, speaking: bool = False
) -> Session:
    """Return `session` with `patch` applied; neither is changed.

    Args:
        session: An effective session.
        patch: The `session` of a `session.update`, as it came.
        spoken: Whether the model has spoken already; then its voice is fixed.
        speaking: Whether an answer is being made; then its speed is fixed.

    Raises:
        InvalidRequest: The patch is malformed or touches what is fixed.
    """
    kind = session["type"]
    _refuse_other_type(kind, patch)
    given = check(_PATCHES[kind], patch, "session").model_dump(exclude_unset=True)
    result = copy.deepcopy(session)
    audio = given.pop("audio", None) or {}
    _refuse_other_tracing(session, given)
    result.update({k: v for k, v in given.items() if k not in _FIXED})
    _merge_input(result, audio.get("input") or {})
    if kind == "realtime":
        given_out = audio.get("output") or {}
        _refuse_other_speed(result, given_out, speaking=speaking)
        _merge_output(result, given_out, spoken=spoken)
        if result["output_modalities"] not in (["text"], ["audio"]):
            # The GA API speaks or writes; speech always comes with its transcript.
            result["output_modalities"] = ["audio"]
        result.update({k: v for k, v in _CLEARED.items() if result[k] is None})
        for optional in ("parallel_tool_calls", "reasoning"):
            if result.get(optional, ...) is None:
                del result[optional]
    return result


def _refuse_other_type(kind: str, patch: Any) -> None:
    wanted = patch.get("type") if isinstance(patch, dict) else None
    if wanted != kind and wanted in ("realtime", "transcription"):
        raise InvalidRequest(
            f"Passing a {wanted} session update event to a {kind} session "
            "is not allowed.",
            code="invalid_value",
            param="session.type",
        )


def _refuse_other_tracing(session: Session, given: Session) -> None:
    traced = session.get("tracing")
    if traced is not None and given.get("tracing", traced) != traced:
        raise InvalidRequest(
            "Cannot change the tracing configuration once tracing is enabled.",
            code="cannot_update_tracing",
            param="session.tracing",
        )


def _refuse_other_speed(session: Session, given: Session, *, speaking: bool) -> None:
    current = session["audio"]["output"]["speed"]
    if speaking and given.get("speed", current) not in (current, None):
        raise InvalidRequest(
            "Cannot change the speed while a response is in progress.",
            code="invalid_value",
            param="session.audio.output.speed",
        )


def _merge_input(result: Session, given: Session) -> None:
    current = result["audio"]["input"]
    for key in ("transcription", "noise_reduction"):
        if given.get(key):
            given[key] = {**(current[key] or _DEFAULTS.get(key, {})), **given[key]}
    current.update({k: v for k, v in given.items() if k != "format"})
    _set_format(current, given)
    if detection := given.get("turn_detection"):
        # Replaced as a unit: what the update leaves out falls back to its default.
        base = _SERVER_VAD if detection["type"] == "server_vad" else _SEMANTIC_VAD
        whole = {**base, **detection}
        if result["type"] == "transcription":
            whole = {k: v for k, v in whole.items() if k not in _ANSWERING}
        current["turn_detection"] = whole


def _merge_output(result: Session, given: Session, *, spoken: bool) -> None:
    current = result["audio"]["output"]
    voice = given.get("voice", current["voice"])
    if isinstance(voice, dict):
        # Effective sessions name a voice of the account's own by its id alone.
        voice = given["voice"] = voice["id"]
    if spoken and voice != current["voice"]:
        raise InvalidRequest(
            "Cannot update a conversation's voice if assistant audio is present.",
            code="cannot_update_voice",
            param="session.audio.output.voice",
        )
    current.update({k: v for k, v in given.items() if v is not None and k != "format"})
    _set_format(current, given)


def _set_format(side: Session, given: Session) -> None:
    if format_ := given.get("format"):
        if format_["type"] == "audio/pcm":
            format_ = {"type": "audio/pcm", "rate": 24000}
        side["format"] = format_
