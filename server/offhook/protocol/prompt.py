"""What a response is made of: the conversation so far, and what may be called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offhook.protocol.items import Role


@dataclass(frozen=True)
class Turn:
    """What one side said, spoken or written."""

    role: Role
    text: str


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool.

    Attributes:
        arguments: A JSON object, as text.
        call_id: Ties the output to it; whoever asks for a call leaves it empty.
    """

    name: str
    arguments: str
    call_id: str = ""


@dataclass(frozen=True)
class ToolOutput:
    """What a tool returned."""

    call_id: str
    output: str


@dataclass(frozen=True)
class Tool:
    """A function that may be called.

    Attributes:
        parameters: A JSON schema of the arguments, an object's.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prompt:
    """What to answer.

    Attributes:
        instructions: How to answer; empty where nobody said.
        turns: The conversation in order; the last one is what to answer.
        tools: What may be called; none where the client forbade it.
        must_call: Whether one of the tools has to be called.
        parallel: Whether several may be called at once.
    """

    instructions: str
    turns: tuple[Turn | ToolCall | ToolOutput, ...]
    tools: tuple[Tool, ...] = ()
    must_call: bool = False
    parallel: bool = True
