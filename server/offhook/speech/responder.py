"""What answers a caller: a conversation in, sentences out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@dataclass(frozen=True)
class Turn:
    """What one side said."""

    role: Literal["user", "assistant", "system"]
    text: str


@dataclass(frozen=True)
class Prompt:
    """What to answer.

    Attributes:
        instructions: How to answer; empty where nobody said.
        turns: The conversation; the last turn of the user is the one to answer.
    """

    instructions: str
    turns: tuple[Turn, ...]


class Responder(Protocol):
    """Answers callers; one serves many calls at a time."""

    name: str

    def reply(self, prompt: Prompt) -> AsyncGenerator[str]:
        """Answer sentence by sentence, each fit to be spoken.

        Raises:
            UpstreamError: Somebody else had to be asked, and failed.
        """
