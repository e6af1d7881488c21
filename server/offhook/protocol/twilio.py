"""Twilio's Media Streams: frames ⇄ audio, and marks that tell what was heard.

Sans-IO: frames are texts, the time is an argument. Source of the frames: "Media Streams
- WebSocket Messages" in Twilio's documentation; of the numbers and of what is padded:
`TwilioRealtimeTransportLayer` of @openai/agents-extensions 0.18.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest
from offhook.events import parse, serialise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from offhook.events import Event
    from offhook.protocol.playback import AudioPart

_BYTES_PER_MS = 8
_SILENCE = b"\xff"
_ULAW = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
_LONGEST_GAP_MS = 10_000
_PADDING_MS = 1_000
# A mark comes back when the audio before it is over. So pieces are short: between two
# marks nobody knows how far playback is.
_PIECE_BYTES = 100 * _BYTES_PER_MS
_MARK = re.compile(r"(.+):(\d+):(\d+):g(\d+)", re.S)


@dataclass(frozen=True)
class Received:
    """A frame came; this is the whole of it."""

    message: Event


@dataclass(frozen=True)
class Started:
    """The stream begins: audio can be sent from now on.

    Attributes:
        parameters: What the TwiML gave along; it may name the caller.
    """

    stream_sid: str
    call_sid: str
    parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Heard:
    """The caller said this; µ-law, 8 kHz."""

    audio: bytes


@dataclass(frozen=True)
class Played:
    """The caller has heard this much of an item, in milliseconds."""

    item_id: str
    content_index: int
    ms: float


@dataclass(frozen=True)
class Pressed:
    """The caller pressed a key: 0 to 9, * or #."""

    digit: str


@dataclass(frozen=True)
class Stopped:
    """The stream is over: the caller hung up, or the call goes on elsewhere."""


@dataclass(frozen=True)
class Ignored:
    """A frame has no effect, for this reason."""

    reason: str


Effect = Received | Started | Heard | Played | Pressed | Stopped | Ignored


class Ear:
    """What comes from the caller: a stream without gaps, as a model needs it.

    Twilio sends nothing while nothing comes from the caller's network. Unless silence
    is put there, voice activity detection waits for the end of a turn for ever.

    Args:
        inactivity_ms: How long nothing may come while the caller speaks, before a
            second of silence is put in; None never does.
    """

    def __init__(self, inactivity_ms: float | None) -> None:
        self._inactivity_ms = inactivity_ms
        self._can_pad = False
        self._speaking = False
        self._next_ms: float | None = None
        self._came_ms: float | None = None
        self._padded = False

    def begin(self, format_: Any) -> None:
        """Begin anew, with a `mediaFormat`; only of µ-law silence is known here."""
        self._next_ms = self._came_ms = None
        self._speaking = self._padded = False
        self._can_pad = isinstance(format_, dict) and _ULAW.items() <= format_.items()

    @property
    def deadline(self) -> float | None:
        """When silence has to be put in if nothing comes; None while it has not."""
        if not (self._speaking and self._can_pad) or self._padded:
            return None
        if self._inactivity_ms is None or self._came_ms is None:
            return None
        return self._came_ms + self._inactivity_ms

    def speech(self, speaking: bool) -> None:
        """Say that the model hears a turn begin or end."""
        self._speaking = speaking

    def tick(self, now_ms: float) -> bytes:
        """Return the silence that is due."""
        deadline = self.deadline
        if deadline is None or now_ms < deadline:
            return b""
        self._padded = True
        return _silence(_PADDING_MS)

    def take(self, audio: bytes, timestamp: Any, now_ms: float) -> bytes:
        """Return audio that came, with the silence that was left out before it."""
        at_ms = _milliseconds(timestamp) if self._can_pad else None
        expected_ms, self._next_ms = self._next_ms, None
        gap_ms = 0.0
        # A timestamp that goes back, or is none, begins the reckoning anew.
        if at_ms is not None and (expected_ms is None or at_ms >= expected_ms):
            self._next_ms = at_ms + len(audio) / _BYTES_PER_MS
            if expected_ms is not None and not self._padded:
                gap_ms = min(at_ms - expected_ms, _LONGEST_GAP_MS)
        self._padded = False
        self._came_ms = now_ms
        return _silence(gap_ms) + audio


class Mouth:
    """What goes to the caller: audio with marks, until it is interrupted.

    A mark's name carries the item, its content part, how many samples of it the caller
    has heard when the mark comes back, and how often the queue was cleared before:
    Twilio sends the marks of what it clears back, too.
    """

    def __init__(self) -> None:
        self._stream_sid: str | None = None
        self._generation = 0
        self._sent: dict[AudioPart, int] = {}
        self._last: str | None = None
        self._unfinished: set[str] = set()
        self._discarded: set[str] = set()

    def begin(self, stream_sid: str) -> None:
        """Begin anew, with nothing queued."""
        self._stream_sid = stream_sid
        self._forget()

    def end(self) -> None:
        """Take no audio any more."""
        self._stream_sid = None

    def response(self, response_id: str) -> None:
        """Say that a response is being made."""
        self._unfinished.add(response_id)

    def finish(self, response_id: str) -> None:
        """Say that it is done: nothing more will come of it."""
        self._unfinished.discard(response_id)
        self._discarded.discard(response_id)
        for part in [p for p in self._sent if p.response_id == response_id]:
            del self._sent[part]

    def say(self, part: AudioPart, audio: bytes) -> list[str]:
        """Return the frames that play µ-law audio.

        There are none where nobody will hear it: the stream has ended, or the response
        was interrupted.
        """
        if self._stream_sid is None or part.response_id in self._discarded:
            return []
        self._unfinished.add(part.response_id)
        frames: list[str] = []
        for start in range(0, len(audio), _PIECE_BYTES):
            piece = audio[start : start + _PIECE_BYTES]
            frames += [self._media(piece), self._mark(part, len(piece))]
        return frames

    def clear(self) -> list[str]:
        """Return the frame that drops what waits to be heard, if anything does."""
        waits = self._last is not None
        self._discarded |= self._unfinished
        self._forget()
        return [self._frame("clear")] if waits else []

    def played(self, name: Any) -> Played | Ignored:
        """Take a mark that came back."""
        if not isinstance(name, str) or not (found := _MARK.fullmatch(name)):
            return Ignored("a mark that is none of ours")
        item_id, content_index, samples, generation = found.groups()
        if int(generation) != self._generation:
            return Ignored("a mark of audio that was cleared")
        if name == self._last:
            self._last = None
        ms = int(samples) / _BYTES_PER_MS
        return Played(item_id, int(content_index), ms)

    def _forget(self) -> None:
        self._generation += 1
        self._sent.clear()
        self._last = None

    def _media(self, piece: bytes) -> str:
        return self._frame("media", media={"payload": base64.b64encode(piece).decode()})

    def _mark(self, part: AudioPart, samples: int) -> str:
        sent = self._sent[part] = self._sent.get(part, 0) + samples
        place = f"{part.item_id}:{part.content_index}:{sent}"
        self._last = f"{place}:g{self._generation}"
        return self._frame("mark", mark={"name": self._last})

    def _frame(self, event: str, **fields: Any) -> str:
        return serialise({"event": event, "streamSid": self._stream_sid, **fields})


class MediaStream:
    """One Media Stream, seen from the server that it leads to.

    Attributes:
        ear: The caller's audio.
        mouth: The answer's.
    """

    def __init__(self, *, inactivity_ms: float | None = 750.0) -> None:
        self.ear = Ear(inactivity_ms)
        self.mouth = Mouth()
        self._handlers: dict[str, Callable[[Event, float], Effect]] = {
            "start": self._start,
            "media": self._media,
            "mark": lambda frame, _: self.mouth.played(frame["mark"]["name"]),
            "dtmf": lambda frame, _: Pressed(_text(frame["dtmf"]["digit"])),
            "stop": self._stop,
        }

    def take(self, text: str, now_ms: float) -> list[Effect]:
        """Take a frame; what is malformed or unknown changes nothing."""
        try:
            frame = parse(text)
        except InvalidRequest as error:
            return [Ignored(error.message)]
        effects: list[Effect] = [Received(frame)]
        event = frame.get("event")
        if isinstance(event, str) and (handler := self._handlers.get(event)):
            try:
                effects.append(handler(frame, now_ms))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                effects.append(Ignored(f"{event} with a fault in it: {error!r}"))
        elif event != "connected":
            effects.append(Ignored("a frame of a kind that is not known"))
        return effects

    def _start(self, frame: Event, _: float) -> Started:
        start = frame["start"]
        given = start.get("customParameters") or {}
        parameters = {str(name): str(value) for name, value in given.items()}
        sids = _text(start["streamSid"]), _text(start.get("callSid") or "")
        self.ear.begin(start.get("mediaFormat"))
        self.mouth.begin(sids[0])
        return Started(*sids, parameters)

    def _media(self, frame: Event, now_ms: float) -> Heard | Ignored:
        media = frame["media"]
        if media.get("track", "inbound") != "inbound":
            return Ignored("audio that is not the caller's")
        try:
            audio = base64.b64decode(media["payload"], validate=True)
        except binascii.Error:
            return Ignored("audio that is not base64")
        return Heard(self.ear.take(audio, media.get("timestamp"), now_ms))

    def _stop(self, *_: object) -> Stopped:
        self.mouth.end()
        return Stopped()


def _silence(ms: float) -> bytes:
    return _SILENCE * (int(ms) * _BYTES_PER_MS)


def _milliseconds(timestamp: Any) -> int | None:
    digits = isinstance(timestamp, str) and timestamp.isascii() and timestamp.isdigit()
    # Fifteen digits are more than any stream lasts, and exact as a float.
    return int(timestamp) if digits and len(timestamp) <= 15 else None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
