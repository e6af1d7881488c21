"""Whether a caller waits for an answer, folded from the server's events of its call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offhook.events import Event

# After these the model goes on by itself, or waits for who runs the tool.
_CALLS = ("function_call", "mcp_call")


class Waiting:
    """Whether the model owes an answer, and nothing is heard of it yet.

    It owes one while it thinks, and while a tool of its runs.
    """

    def __init__(self) -> None:
        self._owes = False
        self._speaks = False

    def __bool__(self) -> bool:
        return self._owes and not self._speaks

    def take(self, event: Event) -> None:
        """Take an event."""
        match event.get("type"):
            case "response.created":
                self._owes = True
            case "response.done":
                self._owes = _calls_tools(event.get("response"))
            case "input_audio_buffer.speech_started":
                self._owes = False  # who speaks does not wait
            case "output_audio_buffer.started":
                self._owes, self._speaks = False, True
            case "output_audio_buffer.stopped" | "output_audio_buffer.cleared":
                self._speaks = False


def _calls_tools(response: Any) -> bool:
    output = response.get("output") if isinstance(response, dict) else None
    items = output if isinstance(output, list) else []
    return any(isinstance(item, dict) and item.get("type") in _CALLS for item in items)
