"""The server's ear: the input buffer, the caller's turns, and their transcripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest
from offhook.protocol.effects import Listen, Outbox, Recognise
from offhook.protocol.input_audio import InputAudio
from offhook.protocol.items import spoken_by_caller
from offhook.protocol.turns import SpeechStarted, Turn, TurnDetector

if TYPE_CHECKING:
    from offhook.protocol.conversation import Conversation
    from offhook.protocol.session_config import Session

_SHORTEST_MS = 100  # OpenAI refuses to commit less
# What is kept before the padding: an onset is known two frames after it happened.
_SPARE_MS = 200
# Until a smarter ear is there, eagerness decides how long a pause may be.
_PATIENCE_MS = {"low": 1200, "medium": 700, "high": 400, "auto": 700}


class Hearing:
    """Turns what comes in into committed items.

    Attributes:
        pending: Items whose words are not known yet.
        heard_ms: How long the caller's committed turns were, taken together.
    """

    def __init__(self, outbox: Outbox, conversation: Conversation) -> None:
        self.pending: set[str] = set()
        self.heard_ms = 0
        self._outbox = outbox
        self._conversation = conversation
        self._audio = InputAudio()
        self._detector: TurnDetector | None = None
        self._detection: Session | None = None
        self._turn: tuple[str, int] | None = None
        self._transcribe = False

    def configure(self, audio_input: Session) -> None:
        """Take over a session's `audio.input`."""
        self._transcribe = audio_input["transcription"] is not None
        detection = audio_input["turn_detection"]
        if detection == self._detection:
            return
        self._detection = detection
        self._turn = None
        self._detector = _detector(detection) if detection else None

    def append(self, pcm: bytes) -> None:
        """Take 24 kHz PCM from the caller."""
        self._audio.append(pcm)
        self._outbox.request(Listen(pcm))

    def notice(self, at_ms: int, probability: float) -> Turn | None:
        """Take the voice activity of the frame that ended at `at_ms`."""
        if self._detector is None or self._detection is None:
            return None
        turn = self._detector.hear(at_ms, probability)
        padding = self._detection.get("prefix_padding_ms", 300)
        if isinstance(turn, SpeechStarted):
            start_ms = max(0, turn.at_ms - padding)
            self._turn = (self._outbox.make_id("item"), start_ms)
            self._announce("speech_started", audio_start_ms=start_ms)
        elif turn is not None:
            self._announce("speech_stopped", audio_end_ms=turn.at_ms)
            self._commit(turn.at_ms)
        elif self._turn is None:
            self._audio.forget_before(at_ms - padding - _SPARE_MS)
        return turn

    def commit(self) -> None:
        """End the turn because the client says so.

        Raises:
            InvalidRequest: There is less than 100 ms.
        """
        if self._audio.length_ms < _SHORTEST_MS:
            raise InvalidRequest(
                "Error committing input audio buffer: buffer too small. Expected at "
                f"least {_SHORTEST_MS}ms of audio, but buffer only has "
                f"{self._audio.length_ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        self._commit(self._audio.end_ms)
        self._detector = _detector(self._detection) if self._detection else None

    def clear(self) -> None:
        """Forget what has not been committed."""
        self._audio.clear()
        self._turn = None
        self._detector = _detector(self._detection) if self._detection else None
        self._outbox.emit({"type": "input_audio_buffer.cleared"})

    def heard(self, item_id: str, text: str, seconds: float) -> None:
        """Take the words of a committed turn."""
        self.pending.discard(item_id)
        if item_id not in self._conversation:
            return
        item = self._conversation.get(item_id, "retrieve")
        item["content"][0]["transcript"] = text
        if not self._transcribe:
            return
        kind = "conversation.item.input_audio_transcription"
        ids = {"item_id": item_id, "content_index": 0}
        if text:
            self._outbox.emit({"type": f"{kind}.delta", **ids, "delta": text})
        done: dict[str, Any] = {"type": f"{kind}.completed", **ids, "transcript": text}
        self._outbox.emit({**done, "usage": {"type": "duration", "seconds": seconds}})

    def unheard(self, item_id: str, message: str) -> None:
        """Take note that a turn could not be written down."""
        self.pending.discard(item_id)
        if not self._transcribe or item_id not in self._conversation:
            return
        self._outbox.emit(
            {
                "type": "conversation.item.input_audio_transcription.failed",
                "item_id": item_id,
                "content_index": 0,
                "error": {
                    "type": "transcription_error",
                    "code": "audio_unintelligible",
                    "message": message,
                },
            }
        )

    def _commit(self, end_ms: int) -> None:
        item_id, start_ms = self._turn or (self._outbox.make_id("item"), 0)
        self._turn = None
        pcm = self._audio.take(start_ms, end_ms)
        item = spoken_by_caller(item_id)
        previous = self._conversation.add(item)
        self._conversation.keep_audio(item_id, pcm)
        self.heard_ms += len(pcm) // 48
        self.pending.add(item_id)
        ids = {"previous_item_id": previous, "item_id": item_id}
        self._outbox.emit({"type": "input_audio_buffer.committed", **ids})
        for moment in ("added", "done"):
            self._outbox.emit(
                {
                    "type": f"conversation.item.{moment}",
                    "previous_item_id": previous,
                    "item": {**item, "content": [dict(p) for p in item["content"]]},
                }
            )
        self._outbox.request(Recognise(item_id, pcm))

    def _announce(self, moment: str, **at: int) -> None:
        assert self._turn is not None
        event = {"type": f"input_audio_buffer.{moment}", **at}
        self._outbox.emit({**event, "item_id": self._turn[0]})


def _detector(detection: Session) -> TurnDetector:
    if detection["type"] == "server_vad":
        return TurnDetector(
            threshold=detection["threshold"],
            silence_ms=detection["silence_duration_ms"],
        )
    return TurnDetector(threshold=0.5, silence_ms=_PATIENCE_MS[detection["eagerness"]])
