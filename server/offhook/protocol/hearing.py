"""The server's ear: the input buffer, the caller's turns, and their transcripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest
from offhook.protocol.effects import Listen, Outbox, Recognise
from offhook.protocol.input_audio import InputAudio
from offhook.protocol.items import spoken_by_caller
from offhook.protocol.turns import SpeechStarted, SpeechStopped, Turn, TurnDetector

if TYPE_CHECKING:
    from offhook.protocol.conversation import Conversation
    from offhook.protocol.session_config import Session

# A short turn is written down when it pauses, before it is known to be over: that
# takes the recogniser's time out of the caller's wait.
_GUESS_PAUSE_MS = 190
_GUESS_LONGEST_MS = 6000
_SHORTEST_MS = 100  # OpenAI refuses to commit less
# What is kept before the padding: an onset is known two frames after it happened.
_SPARE_MS = 200
# Semantic VAD: how long a pause ends a turn that sounds complete, and one that does not
# (the second from OpenAI's reference).
_PATIENCE_MS = {"low": 1200, "medium": 700, "high": 400, "auto": 700}
_LONGEST_PAUSE_MS = {"low": 8000, "medium": 4000, "high": 2000, "auto": 4000}


@dataclass
class _Guess:
    """An early try at a turn that pauses; gone as soon as more is said.

    Attributes:
        whole: Whether it heard the turn from its beginning.
        complete: Whether the caller sounded done.
    """

    attempt: int
    whole: bool
    words: str | None = None
    complete: bool = False


@dataclass
class _Turn:
    """A turn that is open: the caller speaks, or only pauses."""

    item_id: str
    start_ms: int
    attempts: int = 0
    guess: _Guess | None = None


@dataclass(frozen=True)
class _Pending:
    """An item whose words are not known yet.

    Attributes:
        announced: Whether the client gets events of the transcript.
    """

    attempt: int
    seconds: float
    announced: bool = True


class Hearing:
    """Turns what comes in into committed items.

    Attributes:
        pending: Items whose words are not known yet.
        heard_ms: How long the caller's committed turns were, taken together.
        wordless: Whether the last turn is known to have no words: it was a noise.
    """

    def __init__(self, outbox: Outbox, conversation: Conversation) -> None:
        self.pending: dict[str, _Pending] = {}
        self.heard_ms = 0
        self._outbox = outbox
        self._conversation = conversation
        self._audio = InputAudio()
        self._detector: TurnDetector | None = None
        self._detection: Session | None = None
        self._noticed_ms = 0
        self._settled_ms = 0  # what ended before this was committed or cleared
        self._quiet_ms: int | None = None
        self._turn: _Turn | None = None
        self._transcribe = False
        self.wordless = False

    @property
    def end_ms(self) -> int:
        """How much audio has come in since the call began."""
        return self._audio.end_ms

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The id that an open turn will have; it was announced."""
        return (self._turn.item_id,) if self._turn else ()

    def configure(self, audio_input: Session) -> None:
        """Take over a session's `audio.input`."""
        self._transcribe = audio_input["transcription"] is not None
        detection = audio_input["turn_detection"]
        if detection == self._detection:
            return
        self._detection = detection
        if self._turn and detection is not None and self._detector is not None:
            # The caller goes on speaking, whatever is changed meanwhile.
            self._detector = _detector(detection, self._noticed_ms)
            self._detector.resume()
            return
        if self._turn:
            # What was said so far is not lost with the detection.
            self._stop(self._noticed_ms)
        self._begin_anew()

    def append(self, pcm: bytes) -> None:
        """Take 24 kHz PCM from the caller."""
        self._audio.append(pcm)
        self._outbox.request(Listen(pcm))

    def notice(self, at_ms: int, probability: float) -> Turn | None:
        """Take the voice activity of the frame that ended at `at_ms`."""
        self._noticed_ms = at_ms
        if self._detector is None or self._detection is None:
            return None
        if at_ms <= self._settled_ms:
            return None
        turn = self._detector.hear(at_ms, probability) or self._completed()
        padding = self._detection.get("prefix_padding_ms", 300)
        if isinstance(turn, SpeechStarted):
            start_ms = max(0, turn.at_ms - padding)
            self._turn = _Turn(self._outbox.make_id("item"), start_ms)
            self._announce("speech_started", audio_start_ms=start_ms)
        elif turn is not None:
            self._stop(turn.at_ms)
        elif self._turn is None:
            onset_ms = at_ms - padding - _SPARE_MS
            quiet_ms = onset_ms if self._quiet_ms is None else self._quiet_ms
            self._audio.forget_before(min(onset_ms, quiet_ms))
        else:
            self._guess(self._turn, self._detector.pause_ms, at_ms)
        return turn

    def idle(self, at_ms: int, *, quiet: bool) -> bool:
        """Say whether nobody has said anything for too long, and take it as a turn.

        Args:
            at_ms: Now, on the clock of the caller's audio.
            quiet: Whether the last answer has been heard, and none is on its way.
        """
        limit_ms = (self._detection or {}).get("idle_timeout_ms")
        if limit_ms is None or self._turn or self.pending or not quiet:
            self._quiet_ms = None
            return False
        if self._quiet_ms is None:
            self._quiet_ms = at_ms
        if at_ms - self._quiet_ms < limit_ms:
            return False
        start_ms, self._quiet_ms = self._quiet_ms, None
        self._turn = _Turn(self._outbox.make_id("item"), start_ms)
        times = {"audio_start_ms": start_ms, "audio_end_ms": at_ms}
        self._announce("timeout_triggered", **times)
        self._commit(at_ms)
        return True

    def write_down(self, item_id: str, pcm: bytes) -> None:
        """Ask for the words of speech that the client put into the conversation."""
        self._conversation.keep_audio(item_id, pcm)
        self.heard_ms += len(pcm) // 48
        self.pending[item_id] = _Pending(1, len(pcm) / 48000, announced=False)
        self._outbox.request(Recognise(item_id, 1, pcm))

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
        if self._turn:
            # More may have come in than the early try has heard.
            self._turn.guess = None
        self._commit(self._audio.end_ms)
        self._settle()

    def clear(self) -> None:
        """Forget what has not been committed."""
        self._audio.clear()
        self._turn = None
        self._settle()
        self._outbox.emit({"type": "input_audio_buffer.cleared"})

    def heard(
        self, item_id: str, attempt: int, text: str, *, complete: bool = True
    ) -> Turn | None:
        """Take the words of a turn, or of what may become one: they may end it."""
        if guess := self._guess_of(item_id, attempt):
            guess.words = text
            guess.complete = complete
            # The caller may have sent no more; then there is no next frame to wait for.
            if turn := self._completed():
                self._stop(turn.at_ms)
            return turn
        self._heard(item_id, attempt, text)
        return None

    def _heard(self, item_id: str, attempt: int, text: str) -> None:
        pending = self.pending.get(item_id)
        if pending is None or pending.attempt != attempt:
            return
        del self.pending[item_id]
        if item_id not in self._conversation:
            return
        item = self._conversation.get(item_id, "retrieve")
        for part in item["content"]:
            if part["type"] == "input_audio" and part["transcript"] is None:
                part["transcript"] = text
        if self._transcribe and pending.announced:
            self._transcribed(item_id, text, pending.seconds)

    def unheard(self, item_id: str, attempt: int, message: str) -> None:
        """Take note that a turn could not be written down."""
        if self._turn and self._guess_of(item_id, attempt):
            self._turn.guess = None
            return
        pending = self.pending.get(item_id)
        if pending is None or pending.attempt != attempt:
            return
        del self.pending[item_id]
        if item_id not in self._conversation or not pending.announced:
            return
        if not self._transcribe:
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

    def _transcribed(self, item_id: str, text: str, seconds: float) -> None:
        kind = "conversation.item.input_audio_transcription"
        ids = {"item_id": item_id, "content_index": 0}
        if text:
            self._outbox.emit({"type": f"{kind}.delta", **ids, "delta": text})
        done: dict[str, Any] = {"type": f"{kind}.completed", **ids, "transcript": text}
        self._outbox.emit({**done, "usage": {"type": "duration", "seconds": seconds}})

    def _guess_of(self, item_id: str, attempt: int) -> _Guess | None:
        turn = self._turn
        if turn is None or turn.item_id != item_id or turn.guess is None:
            return None
        return turn.guess if turn.guess.attempt == attempt else None

    def _guess(self, turn: _Turn, pause_ms: int, at_ms: int) -> None:
        if pause_ms == 0:
            turn.guess = None
            return
        whole = at_ms - turn.start_ms <= _GUESS_LONGEST_MS
        if turn.guess or pause_ms < _GUESS_PAUSE_MS or not (whole or self._semantic):
            return
        turn.attempts += 1
        turn.guess = _Guess(turn.attempts, whole)
        start_ms = turn.start_ms if whole else at_ms - _GUESS_LONGEST_MS
        pcm = self._audio.peek(start_ms, at_ms)
        self._outbox.request(
            Recognise(turn.item_id, turn.attempts, pcm, judge=self._semantic)
        )

    @property
    def _semantic(self) -> bool:
        detection = self._detection
        return detection is not None and detection["type"] == "semantic_vad"

    def _completed(self) -> SpeechStopped | None:
        detection, detector, turn = self._detection, self._detector, self._turn
        if not (detection and detector and turn and turn.guess and self._semantic):
            return None
        patience_ms = _PATIENCE_MS[detection["eagerness"]]
        if turn.guess.complete and detector.pause_ms >= patience_ms:
            return detector.stop()
        return None

    def _stop(self, at_ms: int) -> None:
        self._announce("speech_stopped", audio_end_ms=at_ms)
        self._commit(at_ms)

    def _settle(self) -> None:
        self._settled_ms = self._audio.end_ms
        self._begin_anew()

    def _begin_anew(self) -> None:
        since_ms = max(self._noticed_ms, self._settled_ms)
        detection = self._detection
        self._detector = _detector(detection, since_ms) if detection else None

    def _commit(self, end_ms: int) -> None:
        turn = self._turn or _Turn(self._outbox.make_id("item"), 0)
        item_id, self._turn = turn.item_id, None
        pcm = self._audio.take(turn.start_ms, end_ms)
        item = spoken_by_caller(item_id)
        previous = self._conversation.add(item)
        self._conversation.keep_audio(item_id, pcm)
        self.heard_ms += len(pcm) // 48
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
        guess = turn.guess if turn.guess and turn.guess.whole else None
        self.wordless = guess is not None and guess.words == ""
        attempt = guess.attempt if guess else turn.attempts + 1
        self.pending[item_id] = _Pending(attempt, len(pcm) / 48000)
        if guess is None:
            self._outbox.request(Recognise(item_id, attempt, pcm))
        elif guess.words is not None:
            self._heard(item_id, attempt, guess.words)

    def _announce(self, moment: str, **at: int) -> None:
        assert self._turn is not None
        event = {"type": f"input_audio_buffer.{moment}", **at}
        self._outbox.emit({**event, "item_id": self._turn.item_id})


def _detector(detection: Session, since_ms: int) -> TurnDetector:
    if detection["type"] == "server_vad":
        return TurnDetector(
            threshold=detection["threshold"],
            silence_ms=detection["silence_duration_ms"],
            since_ms=since_ms,
        )
    longest_ms = _LONGEST_PAUSE_MS[detection["eagerness"]]
    return TurnDetector(threshold=0.5, silence_ms=longest_ms, since_ms=since_ms)
