"""What the model said, as far as it was heard, and when.

Where a server plays the model's audio (WebRTC, and our bridge), it says by
`output_audio_buffer.*` when that sounds. Over WebSocket nobody does: the audio is
reckoned to be played from when it comes, at 1x.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from offhook.protocol.entries import MOST_ID, MOST_TEXT, Entry, entry, milliseconds
from offhook.protocol.playback import duration_ms
from offhook.protocol.truncations import beginning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offhook.events import Event

# Answers that are made or played; of more the oldest is taken to be over.
_MOST = 8
_MOST_PARTS = 16
# How long after an answer's end it may still be said how much of it was heard.
_GRACE_MS = 1_000.0
# How long after an answer was made it may begin to sound.
_SOON_MS = 5_000.0
# How long a character takes to say, until the call has shown how fast the model
# speaks: letters 15 in a second; numerals are words, and so are signs of some scripts.
_LETTER_MS, _NUMERAL_MS, _PAUSE_MS, _SIGN_MS = 65.0, 250.0, 150.0, 180.0
_PAUSES = ",.;:!?"
_SIGNS = "\u2e80"  # from here on
_WORDS = {
    "response.output_audio_transcript.delta": ("delta", "audio"),
    "response.output_audio_transcript.done": ("transcript", "audio"),
    "response.output_text.delta": ("delta", "text"),
    "response.output_text.done": ("text", "text"),
}


@dataclass
class _Part:
    """An item of an answer: its words, how long it is and where it was cut."""

    words: str = ""
    audio_ms: float = 0.0
    cut_ms: float | None = None


@dataclass
class _Answer:
    response_id: str
    created: float
    parts: dict[str, _Part] = field(default_factory=dict)
    modality: str = "text"
    # When its first word came, and when it was heard from and to.
    began: float | None = None
    heard_from: float | None = None
    heard_to: float | None = None
    done: float | None = None
    status: str = "in_progress"
    # Whether a server says how it is played, and what it said last.
    buffered: bool = False
    cleared: bool = False
    first_audio_ms: int | None = None

    @property
    def words(self) -> str:
        return " ".join(part.words for part in self.parts.values() if part.words)

    @property
    def audio_ms(self) -> float:
        return sum(part.audio_ms for part in self.parts.values())

    @property
    def cut(self) -> bool:
        return any(part.cut_ms is not None for part in self.parts.values())


class ModelTurns:
    """Follows the server's events about the model's answers.

    Attributes:
        sounded: If an answer to the caller has begun to sound with the last event: how
            long after the caller's last word.
    """

    def __init__(self) -> None:
        self.sounded: int | None = None
        self._answers: dict[str, _Answer] = {}  # bounded by _MOST
        self._format: dict[str, Any] | None = None
        # Of what was heard to its end: how long it was, and was thought to be.
        self._said_ms = 0.0
        self._thought_ms = 0.0

    def take(self, event: Event, at: float, spoken_ms: float | None) -> list[Entry]:
        """Take an event, and return what is whole with it.

        Args:
            event: The event.
            at: The time.
            spoken_ms: When the caller's last words ended, if they have no answer yet.
        """
        self.sounded = None
        self._note(event, at, spoken_ms)
        over = [answer for answer in self._answers.values() if _is_over(answer, at)]
        if not over and len(self._answers) > _MOST:
            over = [next(iter(self._answers.values()))]
        return [told for answer in over for told in self._whole(answer, at)]

    def end(self, at: float) -> list[Entry]:
        """Return what is left when the call has ended."""
        left = list(self._answers.values())
        return [told for answer in left for told in self._whole(answer, at, ended=True)]

    def _note(self, event: Event, at: float, spoken_ms: float | None) -> None:
        match event:
            case {
                "type": "response.output_audio.delta",
                "response_id": str(response_id),
            }:
                answer = self._answer(response_id, at)
                self._sound(answer, at, spoken_ms)
                part = _part(answer, event.get("item_id"))
                part.audio_ms += duration_ms(_bytes(event), self._format)
            case {"type": str(kind), "response_id": str(response_id)} if kind in _WORDS:
                self._say(self._answer(response_id, at), event, *_WORDS[kind], at)
            case {
                "type": "session.created" | "session.updated",
                "session": {"audio": {"output": {"format": dict(format_)}}},
            } if isinstance(format_.get("type"), str):
                self._format = format_
            case {"type": "response.created", "response": {"id": str(response_id)}}:
                self._answer(response_id, at)
            case {
                "type": "output_audio_buffer.started",
                "response_id": str(response_id),
            }:
                answer = self._answer(response_id, at)
                self._sound(answer, at, spoken_ms)
                if not answer.buffered:
                    answer.buffered, answer.heard_from = True, at
            case {
                "type": "output_audio_buffer.stopped" | "output_audio_buffer.cleared",
                "response_id": str(response_id),
            } if response_id in self._answers:
                answer = self._answers[response_id]
                answer.heard_to = at
                answer.cleared |= event["type"].endswith("cleared")
            case {
                "type": "conversation.item.truncated",
                "item_id": str(item_id),
                "audio_end_ms": end,
            }:
                self._cut(item_id, milliseconds(end) or 0.0)
            case {
                "type": "response.done",
                "response": {"id": str(response_id), **rest},
            }:
                self._finish(response_id, rest, at)

    def _answer(self, response_id: str, at: float) -> _Answer:
        if response_id not in self._answers:
            self._answers[response_id] = _Answer(response_id, at)
        return self._answers[response_id]

    def _say(
        self, answer: _Answer, event: Event, key: str, modality: str, at: float
    ) -> None:
        words = event.get(key)
        if not isinstance(words, str):
            return
        answer.modality = modality
        answer.began = at if answer.began is None else answer.began
        part = _part(answer, event.get("item_id"))
        part.words = ((part.words if key == "delta" else "") + words)[:MOST_TEXT]

    def _sound(self, answer: _Answer, at: float, spoken_ms: float | None) -> None:
        if answer.heard_from is not None:
            return
        answer.modality = "audio"
        answer.heard_from = at
        if spoken_ms is not None:
            self.sounded = answer.first_audio_ms = round(max(0.0, at - spoken_ms))

    def _cut(self, item_id: str, end_ms: float) -> None:
        for answer in self._answers.values():
            if item_id in answer.parts:
                answer.parts[item_id].cut_ms = end_ms

    def _finish(self, response_id: str, response: Mapping[Any, Any], at: float) -> None:
        answer = self._answer(response_id, at)
        answer.done = at
        status = response.get("status")
        answer.status = status if isinstance(status, str) else "completed"

    def _whole(self, answer: _Answer, at: float, *, ended: bool = False) -> list[Entry]:
        del self._answers[answer.response_id]
        words = answer.words
        begins, ends = _span(answer, at)
        heard = (
            words if answer.modality == "text" else self._heard(answer, ends - begins)
        )
        if answer.modality == "audio" and heard == words and not ended:
            self._said_ms += ends - begins
            self._thought_ms += sum(map(_spoken_ms, words))
        told = []
        if words or answer.heard_from is not None:
            data = _data(answer, words)
            told.append(entry("turn", "model", begins, ends, heard, data))
        if _is_interrupted(answer):
            cuts = [p.cut_ms for p in answer.parts.values() if p.cut_ms is not None]
            data = {"response_id": answer.response_id[:MOST_ID]}
            if cuts:
                data["audio_end_ms"] = round(cuts[0])
            told.append(entry("interruption", "caller", ends, ends, "", data))
        return told

    def _heard(self, answer: _Answer, ms: float) -> str:
        """Return of the words what was heard, at most."""
        if answer.heard_from is None:
            return ""
        if not answer.cut:
            whole = answer.heard_to is not None and not answer.cleared
            if whole or (not answer.buffered and ms >= answer.audio_ms):
                return answer.words
            return self._share(answer.words, answer.audio_ms, ms)
        heard: list[str] = []
        for part in answer.parts.values():
            if part.cut_ms is not None:
                heard.append(self._share(part.words, part.audio_ms, part.cut_ms))
                break
            heard.append(part.words)
        return " ".join(words for words in heard if words)

    def _share(self, words: str, audio_ms: float, ms: float) -> str:
        lengths = [*map(_spoken_ms, words)]
        total = sum(lengths)
        pace = self._said_ms / self._thought_ms if self._thought_ms else 1.0
        reached = ms / (audio_ms / total if audio_ms and total else pace or 1.0)
        ends = accumulate(lengths)
        return beginning(words, sum(1 for end in ends if end <= reached))


def _spoken_ms(character: str) -> float:
    """Return how long a character takes to say, more or less."""
    if character.isdigit():
        return _NUMERAL_MS
    if character in _PAUSES:
        return _PAUSE_MS
    return _SIGN_MS if character >= _SIGNS else _LETTER_MS


def _bytes(event: Event) -> int:
    """Return how much audio an event has, or stands for (see `overhearing`)."""
    audio, count = event.get("delta"), event.get("characters")
    characters = len(audio) if isinstance(audio, str) else milliseconds(count) or 0
    return int(characters * 3 / 4)  # base64


def _part(answer: _Answer, item_id: Any) -> _Part:
    key = item_id[:MOST_ID] if isinstance(item_id, str) else ""
    if key not in answer.parts and len(answer.parts) >= _MOST_PARTS:
        key = next(reversed(answer.parts))
    return answer.parts.setdefault(key, _Part())


def _is_over(answer: _Answer, at: float) -> bool:
    """Whether nothing more can be said of it."""
    if answer.done is None:
        return False
    if answer.heard_from is None:
        expected = answer.modality == "audio" and answer.status == "completed"
        return not expected or at > answer.done + _SOON_MS
    if answer.buffered:
        if answer.heard_to is None:
            return False
        return not answer.cleared or answer.cut or at > answer.heard_to + _GRACE_MS
    played = answer.heard_from + answer.audio_ms
    return answer.cut or at > max(answer.done, played) + _GRACE_MS


def _is_interrupted(answer: _Answer) -> bool:
    return answer.cleared or answer.cut or answer.status == "cancelled"


def _span(answer: _Answer, at: float) -> tuple[float, float]:
    """Return from when to when it was heard; of what was not heard, when it came."""
    if answer.heard_from is None:
        begins = answer.created if answer.began is None else answer.began
        return begins, begins if answer.modality == "audio" else answer.done or at
    if answer.buffered:
        return answer.heard_from, at if answer.heard_to is None else answer.heard_to
    length = 0.0
    for part in answer.parts.values():
        length += part.audio_ms if part.cut_ms is None else part.cut_ms
        if part.cut_ms is not None:
            break
    return answer.heard_from, min(at, answer.heard_from + length)


def _data(answer: _Answer, words: str) -> dict[str, Any]:
    data: dict[str, Any] = {
        "response_id": answer.response_id[:MOST_ID],
        "item_ids": [item_id for item_id in answer.parts if item_id],
        "modality": answer.modality,
        "status": answer.status[:MOST_ID],
        "transcript": words,
    }
    if answer.first_audio_ms is not None:
        data["first_audio_ms"] = answer.first_audio_ms
    return data
