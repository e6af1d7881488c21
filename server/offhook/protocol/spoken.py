"""Which part of an answer is being heard, where the audio itself does not say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offhook.protocol.playback import AudioPart

if TYPE_CHECKING:
    from offhook.events import Event

_ENDS = ("output_audio_buffer.stopped", "output_audio_buffer.cleared")


class SpokenPart:
    """Follows the events of a WebRTC call, whose audio comes beside them.

    Attributes:
        part: What is heard now, from when it is announced until the server's buffer is
            empty; None while nobody speaks.
    """

    def __init__(self) -> None:
        self.part: AudioPart | None = None
        self._plays = False

    def take(self, event: Event) -> None:
        """Take a server event, known or not."""
        kind = event["type"]
        response_id = event.get("response_id")
        if kind == "response.content_part.added":
            self._added(event)
        elif kind == "output_audio_buffer.started":
            self._plays = True
        elif kind in _ENDS or (kind == "response.done" and not self._plays):
            ended = (event.get("response") or {}).get("id", response_id)
            if self.part and ended in (None, self.part.response_id):
                self.part = None
            self._plays = self._plays and self.part is not None

    def reset(self) -> None:
        """Begin with a new call."""
        self.part = None
        self._plays = False

    def _added(self, event: Event) -> None:
        part = event.get("part")
        if isinstance(part, dict) and part.get("type") in ("audio", "output_audio"):
            ids = (event.get("response_id"), event.get("item_id"))
            if all(isinstance(value, str) for value in ids):
                self.part = AudioPart(*map(str, ids), event.get("content_index") or 0)
