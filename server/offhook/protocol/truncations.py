"""What was cut of the model's speech, for a new session that gets the conversation.

The API tells how much of an item was heard in milliseconds, and of no word when it was
said. So the words are cut in proportion to the audio; where its length is not known,
as over WebRTC, they stay whole, and the item is marked as incomplete.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from offhook.events import Event
    from offhook.protocol.items import Item
    from offhook.protocol.playback import AudioPart

_Key = tuple[Any, Any]


class Truncations:
    """How long the spoken parts are, and where they were cut."""

    def __init__(self) -> None:
        # Both by the item and the index of the part, for a whole conversation.
        self._lengths: dict[_Key, float] = {}
        self._cuts: dict[_Key, float] = {}

    def reset(self) -> None:
        """Forget everything: another conversation begins."""
        self._lengths.clear()
        self._cuts.clear()

    def add(self, part: AudioPart, ms: float) -> None:
        """Count audio that belongs to a part, heard or not."""
        key = part[1:]
        self._lengths[key] = self._lengths.get(key, 0.0) + ms

    def take(self, event: Event) -> None:
        """Take a server event; truncations matter."""
        match event:
            case {
                "type": "conversation.item.truncated",
                "item_id": str(item_id),
                "content_index": int(index),
                "audio_end_ms": int(end) | float(end),
            }:
                self._cuts[item_id, index] = end

    def applied(self, items: Iterable[Item]) -> Iterator[Item]:
        """Give the items with the words that were heard, but for those of no word."""
        for item in items:
            content = item.get("content", [])
            keys = [(item["item_id"], index) for index in range(len(content))]
            if not any(map(self._is_cut, keys)):
                yield item
                continue
            heard = [*map(self._heard, keys, content)]
            if any(part.get("transcript") or part.get("text") for part in heard):
                yield {**item, "content": heard, "status": "incomplete"}

    def _is_cut(self, key: _Key) -> bool:
        return key in self._cuts and self._cuts[key] < self._lengths.get(key, math.inf)

    def _heard(self, key: _Key, part: dict[str, Any]) -> dict[str, Any]:
        words = part.get("transcript")
        if not (self._is_cut(key) and part.get("type") == "output_audio" and words):
            return part
        share = self._cuts[key] / self._lengths.get(key, math.inf)
        if self._cuts[key] > 0 and not share:
            return part  # its length is not known
        at = int(len(words) * max(share, 0.0))
        return {**part, "transcript": beginning(words, at)}


def beginning(words: str, at: int) -> str:
    """Return so many characters, without half a word where words have spaces."""
    begun = words[:at]
    if at >= len(words) or words[at].isspace():
        return begun
    return begun.rpartition(" ")[0] if " " in words else begun
