"""The agents of the scripts; agents.mjs has the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import (
    FunctionTool,
    GuardrailFunctionOutput,
    HostedMCPTool,
    OutputGuardrail,
    function_tool,
)
from agents.realtime import realtime_handoff

from offhook.agent import RealtimeAgent

if TYPE_CHECKING:
    from collections.abc import Callable

NOTHING: dict[str, Any] = {
    "type": "object",
    "properties": {},
    "required": [],
    "additionalProperties": False,
}


def made(
    name: str, execute: Callable[[], Any], *, needs_approval: bool = False
) -> FunctionTool:
    tool: FunctionTool = function_tool(
        execute,
        name_override=name,
        description_override=f"{name}.",
        needs_approval=needs_approval,
    )
    # Without pydantic's titles.
    tool.params_json_schema = NOTHING
    return tool


def boom() -> None:
    raise RuntimeError("boom")


def agent(name: str) -> RealtimeAgent[Any]:
    if name == "Billing":
        return RealtimeAgent(name=name, instructions="Talk about bills.")
    if name == "Roller":
        dice: Any = {
            "type": "mcp",
            "server_label": "dice",
            "server_url": "https://dice.example",
            "allowed_tools": {"tool_names": ["roll"]},
            "require_approval": "always",
        }
        hosted = HostedMCPTool(tool_config=dice)
        return RealtimeAgent(name=name, instructions="Roll dice.", tools=[hosted])
    over = realtime_handoff(
        agent("Billing"),
        tool_name_override="to_billing",
        tool_description_override="Hands over.",
    )
    return RealtimeAgent(
        name=name,
        instructions="Be brief.",
        voice="ash",
        tools=[
            made("look", lambda: "A cat"),
            made("count", lambda: {"a": 1}),
            made("fail", boom),
            made("ask", lambda: "ran", needs_approval=True),
        ],
        handoffs=[over],
    )


def no_trains(_context: Any, _agent: Any, output: str) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput({}, "train" in output)


def options(name: str) -> dict[str, Any]:
    if name != "Guarded":
        return {}
    guardrail = OutputGuardrail(no_trains, name="no trains")
    settings = {"debounce_text_length": 10}
    return {"output_guardrails": [guardrail], "output_guardrail_settings": settings}
