"""What a session is made with, as its connections need it."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from offhook.agent.agent import is_agent
from offhook.errors import InvalidRequest
from offhook.protocol.client_config import session_update

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agents import OutputGuardrail
    from agents.realtime import RealtimeAgent
    from agents.realtime.config import (
        RealtimeModelTracingConfig,
        RealtimeSessionModelSettings,
        RealtimeToolExecutionConfig,
    )
    from agents.run_config import ToolErrorFormatter

    from offhook.transports.base import ApiKey, RealtimeTransportLayer

_log = logging.getLogger(__name__)

_TRANSPORTS = {
    "webrtc": ("offhook.transports.webrtc", "OpenAIRealtimeWebRTC"),
    "websocket": ("offhook.transports.websocket", "OpenAIRealtimeWebSocket"),
}


@dataclass(frozen=True)
class Options:
    """What holds for all connections of a session.

    Attributes:
        config: A session's configuration in the words of the API.
        settings: The model and the tracing.
        every: After how many characters guardrails run again.
        respond: Whether to ask for an answer when an MCP server's tool has ended.
    """

    context: Any
    config: Mapping[str, Any]
    settings: RealtimeSessionModelSettings
    tool_execution: RealtimeToolExecutionConfig | None
    tool_error_formatter: ToolErrorFormatter | None
    guardrails: Sequence[OutputGuardrail[Any]]
    every: int
    respond: bool


def config_of(config: Mapping[str, Any], agent: RealtimeAgent[Any]) -> dict[str, Any]:
    """Return a configuration in the words of the API; the log tells what is wrong.

    Raises:
        InvalidRequest: It names functions, which are an agent's, or is malformed.
    """
    given, warnings = session_update(config)
    for warning in warnings:
        _log.warning("%s", warning)
    if given.get("instructions") and agent.instructions:
        _log.warning("The agent's instructions go over those of the configuration.")
    for tool in given.get("tools") or ():
        if tool.get("type") == "function":
            raise InvalidRequest(
                f"Function '{tool.get('name')}' belongs to an agent, which can run it: "
                "make it a function_tool of openai-agents.",
                code="unsupported_tool",
                param="config.tools",
            )
    return given


def voice_of(config: Mapping[str, Any]) -> Any:
    """Return the voice that a configuration asks for, if it does."""
    return ((config.get("audio") or {}).get("output") or {}).get("voice")


def voiced(config: Mapping[str, Any], agent: RealtimeAgent[Any]) -> dict[str, Any]:
    """Give a configuration the voice of an agent, if it has none of its own."""
    asked: dict[str, Any] = copy.deepcopy({**config})
    voice = getattr(agent, "voice", None)
    if voice and not voice_of(config):
        asked.setdefault("audio", {}).setdefault("output", {})["voice"] = voice
    return asked


def settings_of(
    model: str | None,
    tracing: RealtimeModelTracingConfig | None,
    config: Mapping[str, Any],
    *,
    traced: bool,
) -> RealtimeSessionModelSettings:
    """Return what openai-agents is to ask for; what it is given goes over a config."""
    settings: RealtimeSessionModelSettings = {}
    if wanted := model or config.get("model"):
        settings["model_name"] = wanted
    if not traced:
        settings["tracing"] = None
    elif tracing:
        settings["tracing"] = tracing
    return settings


def tracing_of(
    workflow_name: str | None,
    group_id: str | None,
    metadata: Mapping[str, Any] | None,
) -> RealtimeModelTracingConfig | None:
    """Return how a trace is called; None leaves it to OpenAI."""
    if workflow_name is None:
        if group_id is not None or metadata is not None:
            _log.warning("Without workflow_name, group_id and metadata are ignored.")
        return None
    tracing: RealtimeModelTracingConfig = {"workflow_name": workflow_name}
    if group_id is not None:
        tracing["group_id"] = group_id
    if metadata is not None:
        tracing["metadata"] = {**metadata}
    return tracing


def transport_of(
    given: object, api_key: ApiKey | None, model: str | None
) -> RealtimeTransportLayer:
    """Return a transport that was given, or make one to OpenAI.

    Raises:
        InvalidRequest: There is no such kind, or it is no transport.
        MissingExtra: It needs what is not installed.
    """
    transport: RealtimeTransportLayer
    if isinstance(given, str) and given in _TRANSPORTS:
        # Each needs packages of its own, and an extra that the other does not.
        module, name = _TRANSPORTS[given]
        make = getattr(import_module(module), name)
        # Over a WebSocket the answers come as events; let it be so over WebRTC, too.
        heard = {"audio_events": True} if given == "webrtc" else {}
        transport = make(api_key=api_key, model=model, **heard)
        return transport
    if isinstance(given, str | type) or not hasattr(given, "send_mcp_response"):
        what = repr(given) if isinstance(given, str) else type(given).__name__
        raise InvalidRequest(
            f"{what} is no transport: it is 'webrtc', 'websocket' or an object of "
            "yours, as OpenAIRealtimeWebSocket().",
            code="invalid_value",
            param="transport",
        )
    transport = cast("RealtimeTransportLayer", given)
    return transport


def agent_of(given: Any) -> RealtimeAgent[Any]:
    """Return an agent that was given.

    Raises:
        InvalidRequest: It is none that can speak.
    """
    if not is_agent(given):
        raise InvalidRequest(
            f"An agent has to be a RealtimeAgent, not {type(given).__name__}: make it "
            "with offhook.RealtimeAgent(name=…).",
            code="invalid_type",
            param="agent",
        )
    agent: RealtimeAgent[Any] = given
    return agent
