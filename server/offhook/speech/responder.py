"""What answers a caller: a conversation in, sentences and tool calls out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from offhook.protocol.prompt import Prompt, ToolCall


class Responder(Protocol):
    """Answers callers; one serves many calls at a time."""

    name: str

    def reply(self, prompt: Prompt) -> AsyncGenerator[str | ToolCall]:
        """Answer sentence by sentence, each fit to be spoken, or with calls of tools.

        Raises:
            UpstreamError: Somebody else had to be asked, and failed.
        """
