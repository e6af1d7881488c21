"""Which tools ran, with what, for how long, and what they gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offhook.protocol.entries import MOST_ID, MOST_TEXT, Entry, entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offhook.events import Event

# Tools that run; of more the oldest is taken to have come to nothing.
_MOST = 32
_OUTPUTS = ("conversation.item.added", "conversation.item.created")


class ToolRuns:
    """Follows the calls of functions, and those of tools on MCP servers."""

    def __init__(self) -> None:
        # By the call, or the item of an MCP call: since when, and what of. Bounded.
        self._running: dict[str, tuple[float, dict[str, Any]]] = {}

    def take(self, event: Event, at: float) -> list[Entry]:
        """Take an event, and return what is whole with it."""
        match event:
            case {
                "type": "response.output_item.done",
                "item": {"type": "function_call", "call_id": str(call_id), **item},
            }:
                fields = _texts(item, "name", "arguments")
                self._begin(call_id, at, {"call_id": call_id[:MOST_ID], **fields})
            case {
                "type": kind,
                "item": {
                    "type": "function_call_output",
                    "call_id": str(call_id),
                    **item,
                },
            } if kind in _OUTPUTS and call_id in self._running:
                return [self._whole(call_id, at, **_texts(item, "output"))]
            case {
                "type": "response.output_item.added",
                "item": {"type": "mcp_call", "id": str(item_id), **item},
            }:
                self._begin(item_id, at, _texts(item, "name", "server_label"))
            case {
                "type": "response.output_item.done",
                "item": {"type": "mcp_call", "id": str(item_id), **item},
            }:
                if item_id not in self._running:
                    self._begin(item_id, at, {})
                names = ("name", "server_label", "arguments", "output")
                failed = {"failed": True} if item.get("error") else {}
                return [self._whole(item_id, at, **_texts(item, *names), **failed)]
        if len(self._running) > _MOST:
            return [self._whole(next(iter(self._running)), at)]
        return []

    def end(self, at: float) -> list[Entry]:
        """Return what is left when the call has ended."""
        return [self._whole(key, at) for key in list(self._running)]

    def _begin(self, key: str, at: float, data: dict[str, Any]) -> None:
        self._running.setdefault(key, (at, data))

    def _whole(self, key: str, at: float, **more: Any) -> Entry:
        began, data = self._running.pop(key)
        data = {**data, **more}
        return entry("tool", "model", began, at, data.get("name", ""), data)


def _texts(item: Mapping[Any, Any], *names: str) -> dict[str, str]:
    return {
        name: value[:MOST_TEXT]
        for name in names
        if isinstance(value := item.get(name), str)
    }
