"""The speech of one source as PCM: at once, in order, and without gaps."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from offhook.media.codec import FRAME, TICKS, Decoder
from offhook.protocol.arrivals import Arrivals
from offhook.protocol.rtp import later

if TYPE_CHECKING:
    from offhook.protocol.rtp import Packet

# What a source leaves out for longer is not made up: its time goes on without.
_LONGEST_GAP = 5 * FRAME


class Reception:
    """Decodes packets as they come, and makes up those that do not."""

    def __init__(self) -> None:
        self._arrivals = Arrivals()
        self._decoder = Decoder()
        self._next: int | None = None  # the source's timestamp that is due

    def prime(self, payload: bytes) -> bytes:
        """Decode what was before the first packet: the decoder goes on from there."""
        return self._decoder.decode(payload)

    def put(self, packet: Packet) -> bytes:
        """Take a packet, and return the PCM that follows."""
        return self._decoded(self._arrivals.put(packet))

    def fill(self) -> bytes:
        """Go on for 20 ms in which no packet came."""
        return self._decoded(self._arrivals.flush()) or self._made_up(FRAME)

    def _decoded(self, packets: list[Packet | None]) -> bytes:
        pcm = b""
        for packet, following in zip_longest(packets, packets[1:]):
            if packet is None:
                missing = self._decoder.conceal(following and following.payload)
                self._pass(len(missing) // 2)
                pcm += missing
            else:
                pcm += self._paused(packet)
                said = self._decoder.decode(packet.payload)
                self._next = packet.timestamp
                self._pass(len(said) // 2)
                pcm += said
        return pcm

    def _paused(self, packet: Packet) -> bytes:
        """Make up the pause before a packet; one that is too long is left out."""
        if self._next is None:
            return b""
        gap = later(packet.timestamp, self._next) // TICKS
        return self._made_up(gap) if 0 < gap <= _LONGEST_GAP else b""

    def _made_up(self, samples: int) -> bytes:
        pcm = b""
        while len(pcm) < 2 * samples:
            pcm += self._decoder.conceal()
        self._pass(samples)
        return pcm[: 2 * samples]

    def _pass(self, samples: int) -> None:
        if self._next is not None:
            self._next = (self._next + samples * TICKS) & 0xFFFFFFFF
