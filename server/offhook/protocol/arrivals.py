"""Packets in the order in which they were sent, without waiting where none is missing.

What comes in order goes on at once: whoever receives the result smooths it anyway. Only
behind a gap packets wait, and only as long as this source's late ones have been late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from offhook.protocol.rtp import ahead

if TYPE_CHECKING:
    from offhook.protocol.rtp import Packet

# Packets that may wait behind a gap: 100 ms of 20 ms each.
_MOST = 5
# One packet less of patience after so many without a late one: 10 s.
_FORGET = 500
# A larger step is a source that began anew, not a loss.
_MAX_GAP = 100


class Arrivals:
    """The packets of one source, put in order.

    Attributes:
        patience: How many packets may wait behind a gap.
        late: How many came after they had been given up.
    """

    def __init__(self) -> None:
        self.patience = 0
        self.late = 0
        self._ssrc: int | None = None
        self._next = 0
        self._waiting: dict[int, Packet] = {}  # at most _MOST
        self._since_late = 0

    def put(self, packet: Packet) -> list[Packet | None]:
        """Take a packet, and return those that are due; None stands for a lost one."""
        step = ahead(packet.sequence_number, self._next)
        if packet.ssrc != self._ssrc or abs(step) > _MAX_GAP:
            return [*self._begin(packet), packet]
        self._since_late += 1
        if self._since_late > _FORGET and self.patience:
            self.patience -= 1
            self._since_late = 0
        if step < 0:
            self._note_late(-step - 1)
            return []
        if step == 0 and not self._waiting:
            self._next = (self._next + 1) & 0xFFFF
            return [packet]
        self._waiting[packet.sequence_number] = packet
        return self._due(self.patience)

    def flush(self) -> list[Packet | None]:
        """Wait for nothing any more."""
        return self._due(0)

    def _begin(self, packet: Packet) -> list[Packet | None]:
        left = self._due(0)
        self._ssrc = packet.ssrc
        self._next = (packet.sequence_number + 1) & 0xFFFF
        return left

    def _note_late(self, packets: int) -> None:
        """Be so patient from now on that a packet after so many others is no loss."""
        self.late += 1
        self.patience = max(self.patience, min(packets, _MOST))
        self._since_late = 0

    def _due(self, patience: int) -> list[Packet | None]:
        due: list[Packet | None] = []
        while self._waiting:
            packet = self._waiting.pop(self._next, None)
            if packet is None and len(self._waiting) <= patience:
                break
            due.append(packet)
            self._next = (self._next + 1) & 0xFFFF
        return due
