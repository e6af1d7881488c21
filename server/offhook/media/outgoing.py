"""What a caller sends: the audio of a track, or silence."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from offhook.audio import byte_length
from offhook.errors import ServerError
from offhook.media.tracks import pcm_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import MediaStreamTrack

_log = logging.getLogger(__name__)

_RATE = 24000
# What is kept before it flows: a track that is 20 ms late makes no gap.
_AHEAD = byte_length(40, _RATE)
# A track that does not keep time itself is not read faster than it is sent.
_MOST = byte_length(200, _RATE)
# Six minutes, as over a WebSocket.
_MOST_SAID = byte_length(360_000, _RATE)


class Outgoing:
    """The caller's voice, as a call pulls it.

    Whatever its source does, sound goes on at real time, in silence where there is
    none: the other side finds the end of a sentence by the silence after it. Who is
    muted sends silence, too, and the source runs on unheard.

    Attributes:
        muted: Whether it is; it stays so from call to call.
    """

    def __init__(self) -> None:
        self.muted = False
        self._waiting = bytearray()  # bounded by _MOST
        self._room = asyncio.Event()
        self._flows = False
        self._ended = False
        # PCM, and what to do behind it; bounded by _MOST_SAID.
        self._said: deque[bytes | Callable[[], None]] = deque()
        self._said_bytes = 0

    def mute(self, muted: bool) -> None:
        """Send silence, or the voice again."""
        self.muted = muted

    def say(self, pcm: bytes, then: Callable[[], None] | None = None) -> None:
        """Send this next, over whatever the track gives meanwhile.

        Args:
            pcm: At 24 kHz.
            then: Called when it has been sent.

        Raises:
            ServerError: Too much waits already.
        """
        if self._said_bytes + len(pcm) > _MOST_SAID:
            raise ServerError(
                "Too much waits to be said: audio leaves at the pace of speech.",
                code="send_buffer_full",
            )
        self._said_bytes += len(pcm)
        self._said.append(pcm)
        if then:
            self._said.append(then)

    def forget(self) -> None:
        """Say no more of what waits: the call is over."""
        self._said.clear()
        self._said_bytes = 0

    def pull(self, ms: int) -> bytes:
        """Return the next milliseconds of 24 kHz PCM, or less where there is less."""
        wanted = byte_length(ms, _RATE)
        said = self._next_said(wanted)
        heard = self._next_heard(wanted)
        return b"" if self.muted else said or heard

    def _next_said(self, wanted: int) -> bytes:
        pcm = b""
        while self._said and len(pcm) < wanted:
            first = self._said.popleft()
            if callable(first):
                first()
                continue
            missing = wanted - len(pcm)
            pcm += first[:missing]
            if rest := first[missing:]:
                self._said.appendleft(rest)
        self._said_bytes -= len(pcm)
        return pcm

    def _next_heard(self, wanted: int) -> bytes:
        if not (self._flows or self._ended or len(self._waiting) >= _AHEAD):
            return b""
        pcm = bytes(self._waiting[:wanted])
        del self._waiting[:wanted]
        self._flows = len(pcm) == wanted
        self._room.set()
        return pcm

    async def read(self, track: MediaStreamTrack) -> None:
        """Send what a track gives, until it ends; it is not stopped."""
        self._flows = self._ended = False
        self._waiting.clear()  # of the last call
        try:
            async for pcm in pcm_of(track):
                self._waiting += pcm
                while len(self._waiting) > _MOST:
                    self._room.clear()
                    await self._room.wait()
        except Exception:
            _log.exception("the media track failed: silence is sent instead")
        self._ended = True
