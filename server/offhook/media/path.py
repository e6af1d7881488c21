"""The way to a leg's far end: a connection, or nothing but PCM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from offhook.protocol.rtp import Packet

    # Hears a packet, and when it came or went by the loop's clock.
    Tap = Callable[[Packet, float], None]


@dataclass(frozen=True)
class Statistics:
    """How a leg's audio fares; what the other side reports is None until it does.

    Attributes:
        packets_received: From it.
        packets_lost: Of those that it sent.
        jitter_s: Of those that came.
        dropped: Datagrams from it that were of no use.
        packets_sent: To it.
        packets_missed: Of those, as it reports.
        round_trip_s: From us to it and back.
    """

    packets_received: int
    packets_lost: int
    jitter_s: float
    dropped: int
    packets_sent: int
    packets_missed: int | None
    round_trip_s: float | None


class PacketPath(Protocol):
    """Carries the Opus packets of a leg to its far end, and those from there."""

    @property
    def ssrc(self) -> int:
        """That of what is sent."""

    @property
    def payload_type(self) -> int:
        """That of what is sent."""

    def following(self) -> tuple[int, int]:
        """The sequence number and the timestamp to begin with."""

    def open(self, hear: Tap) -> None:
        """Call `hear` with each packet from now on; it must not raise."""

    def close(self) -> None:
        """Carry nothing any more; it can be opened again."""

    def send(self, data: bytes, timestamp: int, now: float) -> None:
        """Send an RTP packet with this timestamp, if there is a way."""

    async def statistics(self) -> Statistics:
        """Count what has happened until now."""
