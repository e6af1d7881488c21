"""Which part of an answer is being heard, where the audio itself does not say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offhook.protocol.playback import AudioPart

if TYPE_CHECKING:
    from offhook.events import Event

_AUDIO = ("audio", "output_audio")
_ENDS = ("output_audio_buffer.stopped", "output_audio_buffer.cleared")


class SpokenPart:
    """Follows the events of a WebRTC call, whose audio comes beside them.

    Attributes:
        part: What is heard now, from when it is announced until the server has played
            it; None while nobody speaks.
    """

    def __init__(self) -> None:
        self.part: AudioPart | None = None
        self._plays = False

    def reset(self) -> None:
        """Begin with a new call."""
        self.part = None
        self._plays = False

    def take(self, event: Event) -> None:
        """Take a server event, known or not."""
        match event:
            case {
                "type": "response.content_part.added",
                "response_id": str(response_id),
                "item_id": str(item_id),
                "part": {"type": kind},
            } if kind in _AUDIO:
                index = event.get("content_index") or 0
                self.part = AudioPart(response_id, item_id, index)
            case {"type": "output_audio_buffer.started"}:
                self._plays = True
            case {"type": kind} if kind in _ENDS:
                self._plays = False
                self._end(event.get("response_id"))
            case {
                "type": "response.done",
                "response": {"id": response_id, "status": "cancelled" | "failed"},
            } if not self._plays:
                # It was announced, and not a word of it will come.
                self._end(response_id)

    def _end(self, response_id: object) -> None:
        if self.part and response_id in (None, self.part.response_id):
            self.part = None
