"""What the caller said, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offhook.protocol.entries import MOST_ID, Entry, entry, milliseconds

if TYPE_CHECKING:
    from offhook.events import Event

# Turns whose transcript is to come; of more the oldest does without.
_MOST = 32
_TRANSCRIPTION = "conversation.item.input_audio_transcription."


@dataclass
class _Turn:
    begins: float
    ends: float
    # Where it began in the audio, as the server counts it.
    audio_start: float | None = None


class CallerTurns:
    """Follows the server's events about the caller's speech.

    When somebody began to speak is found from the end: from there the server's own
    count of the audio leads back. OpenAI counts with it the silence after which a turn
    is over, and some audio before it; both are taken off.

    Attributes:
        ended_ms: When the caller's last words ended, until `answered`; None while it
            speaks.
    """

    def __init__(self) -> None:
        self.ended_ms: float | None = None
        self._turns: dict[str, _Turn] = {}  # bounded by _MOST
        self._silence = 0.0
        self._padding = 0.0

    def take(self, event: Event, at: float) -> list[Entry]:
        """Take an event, and return what is whole with it."""
        match event:
            case {
                "type": "session.created" | "session.updated",
                "session": {"audio": {"input": {"turn_detection": detection}}},
            }:
                self._learn(detection)
            case {"type": "input_audio_buffer.speech_started", "item_id": str(item_id)}:
                self.ended_ms = None
                start = milliseconds(event.get("audio_start_ms"))
                self._turns.setdefault(item_id, _Turn(at, at, start))
            case {"type": "input_audio_buffer.speech_stopped", "item_id": str(item_id)}:
                self._stop(item_id, event.get("audio_end_ms"), at)
            case {"type": "input_audio_buffer.committed", "item_id": str(item_id)}:
                if item_id not in self._turns:  # without voice activity detection
                    self._turns[item_id] = _Turn(at, at)
                    self.ended_ms = at
            case {"type": str(kind), "item_id": str(item_id)} if kind.startswith(
                _TRANSCRIPTION
            ):
                return self._transcribe(kind.removeprefix(_TRANSCRIPTION), event, at)
        if len(self._turns) > _MOST:
            return [self._whole(next(iter(self._turns)), "", at)]
        return []

    def answered(self) -> None:
        """Say that the model has begun to answer."""
        self.ended_ms = None

    def end(self, at: float) -> list[Entry]:
        """Return what is left when the call has ended."""
        for turn in self._turns.values():
            if turn.begins == turn.ends:
                turn.ends = at
        return [self._whole(item_id, "", at) for item_id in list(self._turns)]

    def _learn(self, detection: Any) -> None:
        given = detection if isinstance(detection, dict) else {}
        self._silence = milliseconds(given.get("silence_duration_ms")) or 0.0
        self._padding = milliseconds(given.get("prefix_padding_ms")) or 0.0

    def _stop(self, item_id: str, audio_end_ms: Any, at: float) -> None:
        turn = self._turns.setdefault(item_id, _Turn(at, at))
        end = milliseconds(audio_end_ms)
        if end is not None and turn.audio_start is not None:
            begins = at - (end - turn.audio_start) + self._padding
            turn.begins = max(0.0, min(begins, turn.begins))
        turn.ends = max(turn.begins, at - self._silence)
        self.ended_ms = turn.ends

    def _transcribe(self, what: str, event: Event, at: float) -> list[Entry]:
        item_id = event["item_id"]
        if item_id not in self._turns:
            return []
        if what == "completed":
            said = event.get("transcript")
            return [self._whole(item_id, said if isinstance(said, str) else "", at)]
        if what == "failed":
            return [self._whole(item_id, "", at, transcription="failed")]
        return []

    def _whole(self, item_id: str, text: str, at: float, **data: Any) -> Entry:
        turn = self._turns.pop(item_id)
        data = {"item_id": item_id[:MOST_ID], "modality": "audio", **data}
        return entry("turn", "caller", turn.begins, min(turn.ends, at), text, data)
