"""How much of what the model said was heard: where to truncate its items.

Audio arrives faster than it is heard, so an interruption finds several items in the
queue: the one being heard, and others that the listener knows nothing of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

# 24 kHz PCM16, which is what an unknown format most probably is.
_BYTES_PER_MS = 48
_ONE_BYTE_SAMPLES = frozenset({"audio/pcmu", "audio/pcma", "g711_ulaw", "g711_alaw"})


def duration_ms(byte_count: int, format_: dict[str, Any] | str | None) -> float:
    """Return how long this much audio lasts.

    Args:
        byte_count: Decoded bytes, not base64.
        format_: As in the session: `{"type": "audio/pcm", "rate": 24000}`, a type or
            legacy name, or None.
    """
    fields = {"type": format_} if isinstance(format_, str) else format_ or {}
    if fields.get("type") in _ONE_BYTE_SAMPLES:
        return byte_count / 8
    rate = fields.get("rate")
    if fields.get("type") == "audio/pcm" and isinstance(rate, int | float) and rate > 0:
        return byte_count * 1000 / (2 * rate)
    return byte_count / _BYTES_PER_MS


class AudioPart(NamedTuple):
    """One stretch of speech: a content part of an item of a response."""

    response_id: str
    item_id: str
    content_index: int


@dataclass(frozen=True)
class Truncation:
    """What `conversation.item.truncate` has to say."""

    item_id: str
    content_index: int
    audio_end_ms: int


@dataclass
class _Progress:
    added_ms: float = 0.0
    heard_ms: float = 0.0
    complete: bool = False

    @property
    def waiting_ms(self) -> float:
        return self.added_ms - self.heard_ms

    @property
    def over(self) -> bool:
        return self.complete and self.heard_ms >= self.added_ms


class PlaybackLedger:
    """The generated audio in the order in which it is heard, and how far that is.

    The position is reckoned by the wall clock: audio is heard at 1x from the moment it
    arrives, and time in which nothing was left to play does not count. Or, if
    `reported`, it is what the player says with `played`.

    Times are milliseconds of one clock, any clock. One that goes back stands still.

    Args:
        reported: Go by the player's reports and not by the clock.
        grace_ms: How far playback may be ahead of the last report. A Twilio mark comes
            back when its audio is over and has the way back to go: 50 ms.
    """

    def __init__(self, *, reported: bool = False, grace_ms: float = 0.0) -> None:
        self._reported = reported
        self._grace_ms = grace_ms
        self._parts: dict[AudioPart, _Progress] = {}
        self._unfinished: set[str] = set()
        self._ignored: set[str] = set()
        self._began_ms = 0.0
        self._now_ms = 0.0

    def add(self, part: AudioPart, ms: float, now_ms: float) -> None:
        """Queue audio that just arrived, or was just sent to the player.

        Audio of an interrupted response is not taken: nobody will hear it.
        """
        if ms <= 0 or self.ignores(part.response_id):
            return
        self._advance(now_ms)
        self._forget_the_past(part)
        if not self._parts:
            self._began_ms = self._now_ms = now_ms
        if part not in self._parts:
            for earlier in self._parts.values():
                earlier.complete = True
            self._parts[part] = _Progress()
        self._parts[part].added_ms += ms
        self._unfinished.add(part.response_id)

    def complete(self, part: AudioPart) -> None:
        """Say that all audio of this part has arrived (`response.output_audio.done`).

        Another part, and the end of the response, say so too.
        """
        if progress := self._parts.get(part):
            progress.complete = True

    def finish(self, response_id: str) -> None:
        """Say that the response is done: nothing more will come of it."""
        self._unfinished.discard(response_id)
        self._ignored.discard(response_id)
        for part, progress in self._parts.items():
            progress.complete |= part.response_id == response_id

    def played(self, item_id: str, ms: float, content_index: int = 0) -> None:
        """Take the player's report (or a mark) that it has got this far in an item.

        What was queued before is over then. An old report, or one about an item that
        is no longer here, changes nothing.
        """
        past: list[_Progress] = []
        for part, progress in self._parts.items():
            if part[1:] == (item_id, content_index):
                reached = min(ms, progress.added_ms)
                progress.heard_ms = max(progress.heard_ms, reached)
                for earlier in past:
                    earlier.heard_ms = earlier.added_ms
                return
            past.append(progress)

    def playing(self, now_ms: float) -> bool:
        """Whether there is audio that was not heard yet."""
        self._advance(now_ms)
        return any(progress.waiting_ms > 0 for progress in self._parts.values())

    def current(self, now_ms: float) -> AudioPart | None:
        """Return what is being heard, or else what was heard last.

        None if there was nothing since the last interruption.
        """
        self._advance(now_ms)
        waiting = (part for part, at in self._parts.items() if at.waiting_ms > 0)
        return next(waiting, next(reversed(self._parts), None))

    def heard_ms(self, item_id: str, now_ms: float) -> int | None:
        """Return how much of an item was heard; None when it is no longer here."""
        self._advance(now_ms)
        heard = [at.heard_ms for p, at in self._parts.items() if p.item_id == item_id]
        return math.floor(sum(heard)) if heard else None

    def ignores(self, response_id: str) -> bool:
        """Whether this response was interrupted, so that its late audio is void."""
        return response_id in self._ignored

    def interrupt(self, now_ms: float, ongoing: str | None = None) -> list[Truncation]:
        """Forget the queue, and say where to truncate what was not heard to its end.

        A part whose audio is still to come was not heard to its end, even if nothing of
        it waits. Nothing happens when the clock is before the first audio.

        Args:
            now_ms: The time.
            ongoing: The response that is being made, if its audio is to be ignored
                although none has come yet.
        """
        if self._parts and not self._reported and now_ms < self._began_ms:
            return []
        self._advance(now_ms)
        self._grant_grace()
        cuts = [
            Truncation(part.item_id, part.content_index, math.floor(progress.heard_ms))
            for part, progress in self._parts.items()
            if not progress.over
        ]
        self._ignored |= self._unfinished
        if ongoing is not None:
            self._ignored.add(ongoing)
        self._parts.clear()
        return cuts

    def reset(self) -> None:
        """Forget everything: the connection is gone."""
        self._parts.clear()
        self._unfinished.clear()
        self._ignored.clear()

    def _advance(self, now_ms: float) -> None:
        passed = now_ms - self._now_ms
        self._now_ms = max(self._now_ms, now_ms)
        if self._reported:
            return
        for progress in self._parts.values():
            if passed <= 0:
                return
            waiting = progress.waiting_ms
            if passed < waiting:
                progress.heard_ms += passed
            else:
                progress.heard_ms = progress.added_ms
            passed -= waiting

    def _forget_the_past(self, part: AudioPart) -> None:
        past = [p for p, progress in self._parts.items() if progress.over and p != part]
        for earlier in past:
            del self._parts[earlier]

    def _grant_grace(self) -> None:
        for progress in self._parts.values():
            if not progress.over:
                reached = progress.heard_ms + self._grace_ms
                progress.heard_ms = min(reached, progress.added_ms)
                return
