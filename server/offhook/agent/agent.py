"""An agent of openai-agents' that may have a voice of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents import TContext
from agents.realtime import RealtimeAgent as SdkAgent

if TYPE_CHECKING:
    from collections.abc import Mapping


def is_agent(value: object) -> bool:
    """Whether this is an agent of openai-agents', or ours."""
    return isinstance(value, SdkAgent)


@dataclass
class RealtimeAgent(SdkAgent[TContext]):
    """openai-agents' `RealtimeAgent`, whose arguments are all there, and a voice.

    Attributes:
        voice: A name, or the `id` of a custom one; the session's configuration goes
            over it. Once the model has spoken, it keeps its voice to the end.
    """

    voice: str | Mapping[str, Any] | None = None
