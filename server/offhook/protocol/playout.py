"""The server's 1x playout buffer: what is queued, what was played, what was cut.

The model generates faster than a listener can hear. What it says waits here and
leaves in real time; only this buffer knows how much of an answer was heard
(OpenAI: "Client and server events for audio in WebRTC").
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_BYTES_PER_MS = 48


@dataclass
class _Queued:
    response_id: str
    item_id: str
    audio: bytearray = field(default_factory=bytearray)
    played_bytes: int = 0
    complete: bool = False


@dataclass(frozen=True)
class Cut:
    """An answer that was cut off, and how much of it had been played."""

    response_id: str
    item_id: str
    played_ms: int


@dataclass(frozen=True)
class Started:
    """The first audio of a response leaves now."""

    response_id: str


@dataclass(frozen=True)
class Stopped:
    """The last audio of a response has left."""

    response_id: str


class Playout:
    """Answers in the order in which they will be heard; 24 kHz PCM."""

    def __init__(self) -> None:
        self._queue: deque[_Queued] = deque()
        self._playing: str | None = None
        self._position: tuple[str, float] | None = None
        # Responses that are still being made, of which nothing more is played.
        self._cleared: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether anything is being played or waits to be."""
        return bool(self._queue)

    @property
    def position(self) -> tuple[str, float] | None:
        """The item that was played last, and how many milliseconds of it."""
        return self._position

    def put(self, response_id: str, item_id: str, pcm: bytes) -> None:
        """Queue audio behind what is there, unless its response was cleared."""
        if response_id in self._cleared:
            return
        last = self._queue[-1] if self._queue else None
        if last is None or last.item_id != item_id:
            last = _Queued(response_id, item_id)
            self._queue.append(last)
        last.audio += pcm

    def finish(self, response_id: str) -> None:
        """Say that nothing more will come for this response."""
        self._cleared.discard(response_id)
        for entry in self._queue:
            entry.complete |= entry.response_id == response_id

    def pull(self, ms: int) -> tuple[bytes, list[Started | Stopped]]:
        """Take the next `ms` of audio; short or empty when there is less.

        Returns:
            PCM, and what this changed, in order.
        """
        want = ms * _BYTES_PER_MS
        pcm = bytearray()
        notices: list[Started | Stopped] = []
        while self._queue and len(pcm) < want:
            entry = self._queue[0]
            if entry.audio and self._playing != entry.response_id:
                self._playing = entry.response_id
                notices.append(Started(entry.response_id))
            chunk = entry.audio[: want - len(pcm)]
            del entry.audio[: len(chunk)]
            entry.played_bytes += len(chunk)
            pcm += chunk
            self._position = (entry.item_id, entry.played_bytes / _BYTES_PER_MS)
            if entry.audio or not entry.complete:
                break
            self._queue.popleft()
            following = self._queue[0].response_id if self._queue else None
            if self._playing == entry.response_id != following:
                self._playing = None
                notices.append(Stopped(entry.response_id))
        return bytes(pcm), notices

    def lacks(self, ms: int) -> bool:
        """Whether less than `ms` is there of what is still being made."""
        if not self._queue or self._queue[-1].complete:
            return False
        return sum(len(entry.audio) for entry in self._queue) < ms * _BYTES_PER_MS

    def clear(self) -> list[Cut]:
        """Drop everything and say how much of each item had been played."""
        cuts = [
            Cut(e.response_id, e.item_id, e.played_bytes // _BYTES_PER_MS)
            for e in self._queue
        ]
        self._cleared |= {e.response_id for e in self._queue if not e.complete}
        self._queue.clear()
        self._playing = None
        return cuts
