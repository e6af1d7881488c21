"""The hooks of agents, which openai-agents' own session never calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


def hook_of(name: str, args: tuple[Any, ...]) -> Coroutine[Any, Any, None] | None:
    """Return the call of an agent's hook that an event of the session means.

    Args:
        name: The event's.
        args: What its listeners get.
    """
    hook: Coroutine[Any, Any, None] | None = None
    match name, args:
        case "agent_start", (context, agent) if agent.hooks:
            hook = agent.hooks.on_start(context, agent)
        case "agent_end", (context, agent, text) if agent.hooks:
            hook = agent.hooks.on_end(context, agent, text)
        case "agent_handoff", (context, previous, agent) if agent.hooks:
            hook = agent.hooks.on_handoff(context, agent, previous)
        case "agent_tool_start", (context, agent, tool, _) if agent.hooks:
            hook = agent.hooks.on_tool_start(context, agent, tool)
        case "agent_tool_end", (context, agent, tool, result, _) if agent.hooks:
            hook = agent.hooks.on_tool_end(context, agent, tool, result)
    return hook
