"""What was said while a sound was heard alone: it is heard after the sound."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import TYPE_CHECKING

from offhook.audio import opus
from offhook.audio.mixing import power, samples
from offhook.media.codec import Decoder
from offhook.media.mixer import QUIET
from offhook.protocol.rtp import CLOCK_RATE, FRAME, Packet

if TYPE_CHECKING:
    from collections.abc import Callable

# A minute; of more the newest is kept.
_MOST = 3000
# Of a pause this much is left, so that who was held up catches up: 100 ms.
_PAUSE = 5
# A loop that was held up catches up at most this much.
_LATEST_S = 0.2


class Backlog:
    """Speech that waits, and then goes on in real time, with its pauses shortened.

    What comes while it goes on goes behind it: so it is over in a pause.

    Args:
        onward: Takes a packet, and when it leaves by the loop's clock. The packets are
            those of a source of their own.
        done: Called when everything has left.
    """

    def __init__(
        self, onward: Callable[[Packet, float], None], done: Callable[[], None]
    ) -> None:
        self._onward = onward
        self._done = done
        self._packets: deque[Packet] = deque(maxlen=_MOST)
        self._decoder = Decoder()
        self._paused = _PAUSE  # packets of a pause at the end: what is before is none
        self._source = random.getrandbits(32)
        self._number = self._timestamp = 0
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._timer: asyncio.Handle | None = None

    def put(self, packet: Packet) -> None:
        """Take what was said."""
        pcm = samples(self._decoder.decode(packet.payload))
        quiet = not len(pcm) or power(pcm) < QUIET
        self._paused = self._paused + 1 if quiet else 0
        if self._paused <= _PAUSE:
            self._packets.append(packet)

    def hold(self) -> None:
        """Let it wait."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def release(self) -> None:
        """Let it go on; not before the caller has returned, who may hold it again."""
        self._due = self._loop.time()
        self._timer = self._loop.call_soon(self._tick)

    def clear(self) -> None:
        """Forget it."""
        self._packets.clear()
        self._paused = _PAUSE

    def _tick(self) -> None:
        self._timer = None
        if not self._packets:
            self._done()
            return
        packet = self._packets.popleft()
        now = self._loop.time()
        self._onward(self._renumbered(packet), now)
        length = opus.duration(packet.payload) or FRAME
        self._due = max(self._due, now - _LATEST_S) + length / CLOCK_RATE
        self._timer = self._loop.call_at(self._due, self._tick)

    def _renumbered(self, packet: Packet) -> Packet:
        """Close the gaps where pauses were."""
        number, timestamp = self._number & 0xFFFF, self._timestamp & 0xFFFFFFFF
        self._number += 1
        self._timestamp += opus.duration(packet.payload) or FRAME
        return packet._replace(
            sequence_number=number, timestamp=timestamp, ssrc=self._source
        )
