"""The model settings of openai-agents, as a session's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.realtime import DEFAULT_MODEL_SETTINGS
from agents.realtime.audio_formats import to_realtime_audio_format
from agents.tool import (
    FunctionTool,
    HostedMCPTool,
    ensure_function_tool_supports_responses_only_features,
)

from offhook.errors import InvalidRequest
from offhook.protocol.client_config import session_update

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agents.handoffs import Handoff
    from agents.tool import Tool

_FORMATS = ("input_audio_format", "output_audio_format")
# What stands in `audio`, and the flat name of the same.
_AUDIO = {
    "input": {
        "format": "input_audio_format",
        "noise_reduction": "input_audio_noise_reduction",
        "transcription": "input_audio_transcription",
        "turn_detection": "turn_detection",
    },
    "output": {
        "format": "output_audio_format",
        "voice": "voice",
        "speed": "speed",
    },
}
_SAME = (
    "instructions",
    "prompt",
    "max_output_tokens",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
)


def first_config(settings: Mapping[str, Any], *, beside_call: bool) -> dict[str, Any]:
    """Translate the settings of a new session; what they leave out is as in the SDK.

    Args:
        settings: A `RealtimeSessionModelSettings`.
        beside_call: Whether the call's own audio formats stand.

    Raises:
        InvalidRequest: A tool is none that a Realtime session can have.
    """
    defaults: dict[str, Any] = {**DEFAULT_MODEL_SETTINGS}
    if beside_call:
        for name in _FORMATS:
            defaults.pop(name, None)
    return {**config({**defaults, **settings}), **_traced(settings)}


def config_over(
    settings: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Translate the settings of a new session; what they leave out is as given.

    Args:
        settings: A `RealtimeSessionModelSettings`.
        given: A session's configuration; its tools are there beside the agent's.

    Raises:
        InvalidRequest: A tool is none that a Realtime session can have.
    """
    asked = {**config(settings, beside=given), **_traced(settings)}
    session, _ = session_update(asked, base=given)
    return session


def config(
    settings: Mapping[str, Any], *, beside: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Translate settings; what they leave out is left out.

    Args:
        settings: A `RealtimeSessionModelSettings`.
        beside: What a session has whoever the agent is: tools, and instructions for an
            agent that has none.

    Raises:
        InvalidRequest: A tool is none that a Realtime session can have.
    """
    shared = beside or {}
    session: dict[str, Any] = {}
    if settings.get("model_name"):
        session["model"] = settings["model_name"]
    modalities = settings.get("output_modalities") or settings.get("modalities")
    if modalities:
        session["output_modalities"] = list(modalities)
    session |= {
        name: settings[name] for name in _SAME if settings.get(name) is not None
    }
    if audio := _audio(settings):
        session["audio"] = audio
    if "tools" in settings or "handoffs" in settings:
        session["tools"] = [
            *(shared.get("tools") or ()),
            *_tools(settings.get("tools") or []),
            *_transfers(settings.get("handoffs") or []),
        ]
    if not session.get("instructions") and shared.get("instructions"):
        session["instructions"] = shared["instructions"]
    if session.get("prompt"):
        # Nothing is no wish here: a stored prompt has its own.
        session = {k: v for k, v in session.items() if v not in ("", [])}
    return session


def _traced(settings: Mapping[str, Any]) -> dict[str, Any]:
    # As a session begins; afterwards it cannot be changed.
    return {"tracing": settings["tracing"]} if "tracing" in settings else {}


def _audio(settings: Mapping[str, Any]) -> dict[str, Any]:
    given = settings.get("audio") or {}
    audio: dict[str, Any] = {}
    for side, names in _AUDIO.items():
        nested = given.get(side) or {}
        values = {
            name: nested[name] if name in nested else settings[flat]
            for name, flat in names.items()
            if name in nested or flat in settings
        }
        if "format" in values:
            format_ = to_realtime_audio_format(values.pop("format"))
            if format_ is not None:
                values["format"] = format_.model_dump(exclude_none=True)
        if values:
            audio[side] = values
    return audio


def _tools(tools: Sequence[Tool]) -> Iterator[dict[str, Any]]:
    for tool in tools:
        if isinstance(tool, HostedMCPTool):
            yield {k: v for k, v in tool.tool_config.items() if v is not None}
        elif not isinstance(tool, FunctionTool):
            raise InvalidRequest(
                f"Tool '{tool.name}' is neither a function nor a hosted MCP server: a "
                "Realtime agent has no others.",
                code="unsupported_tool",
            )
        elif tool.is_enabled is not False:
            ensure_function_tool_supports_responses_only_features(
                tool, backend_name="Realtime models"
            )
            yield _tool(tool.name, tool.description, tool.params_json_schema)


def _transfers(handoffs: Sequence[Handoff[Any, Any]]) -> Iterator[dict[str, Any]]:
    for handoff in handoffs:
        if handoff.is_enabled is not False:
            description = handoff.tool_description
            yield _tool(handoff.tool_name, description, handoff.input_json_schema)


def _tool(name: str, description: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "description": description,
        "parameters": parameters,
    }
