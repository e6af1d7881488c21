"""One RTP stream made of others: their headers rewritten so that it never breaks.

Whoever receives it sees one source whose sequence numbers and timestamps go on, while
what is sent comes from a caller, a model, a file or a mixer in turn (RFC 3550).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

CLOCK_RATE = 48000  # Opus, whatever its sample rate (RFC 7587 §4.1)
FRAME = 960  # what is sent in one packet unless a source does otherwise: 20 ms

_HEADER = struct.Struct(">BBHII")
# RFC 3550 §A.1: a larger step is a source that began anew.
_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
# Silence may make a timestamp jump, but not by more than a minute.
_MAX_SILENCE = 60 * CLOCK_RATE
# Not a number that a source can have.
_OWN = -1


class Packet(NamedTuple):
    """An RTP packet without what only the way that it came needs."""

    payload_type: int
    marker: bool
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse(data: bytes) -> Packet | None:
    """Read a packet; None if it is malformed, or has no payload."""
    if len(data) <= _HEADER.size:
        return None
    first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(data)
    payload = data[12:] if first == 0x80 else _payload(data, first)
    if not payload:
        return None
    return Packet(
        second & 0x7F, second > 0x7F, sequence_number, timestamp, ssrc, payload
    )


def _payload(data: bytes, first: int) -> bytes:
    """Leave out contributing sources, header extensions and padding (§5.1, §5.3.1)."""
    if first >> 6 != 2:
        return b""
    start, end = _HEADER.size + 4 * (first & 0x0F), len(data)
    if first & 0x10:
        if end < start + 4:
            return b""
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if first & 0x20:
        # A padding of nothing would be its own length.
        end -= data[-1] or end
    return data[start : max(start, end)]


def ahead(value: int, other: int) -> int:
    """How far a sequence number is ahead of another, from -32768 to 32767."""
    return ((value - other + 0x8000) & 0xFFFF) - 0x8000


def later(value: int, other: int) -> int:
    """How many samples a timestamp is later than another; negative if it is earlier."""
    return ((value - other + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class Stream:
    """The stream that one receiver gets.

    No number is ever used for two different packets: that would break SRTP, whose
    keystream depends on it.

    Args:
        ssrc: The stream's own.
        payload_type: What Opus has been negotiated as.
        sequence_number: The first one.
        timestamp: The first one.
    """

    def __init__(
        self, ssrc: int, payload_type: int, sequence_number: int, timestamp: int
    ) -> None:
        self._ssrc = ssrc
        self._payload_type = payload_type
        self._highest = sequence_number - 1
        self._timestamp = timestamp - FRAME  # of the highest
        self._at: float | None = None  # when that was
        # The source that is followed, and from where on.
        self._source: int | None = None
        self._last = self._last_timestamp = 0  # of its newest packet
        self._followed = 0  # how far that is ahead of the first one
        self._sequence_offset = self._timestamp_offset = 0

    @property
    def timestamp(self) -> int:
        """The timestamp of the newest packet."""
        return self._timestamp & 0xFFFFFFFF

    def leave(self) -> None:
        """Follow nobody: whatever is sent next is the beginning of something."""
        self._source = None

    def follow(self, packet: Packet, now: float) -> bytes | None:
        """Rewrite the packet of a source, in whatever order they come.

        Repeats must have been dropped, as SRTP does.

        Returns:
            The packet to send; None if it is from before the source was followed.
        """
        step = ahead(packet.sequence_number, self._last)
        known = packet.ssrc == self._source
        if known and -_MAX_MISORDER < step <= 0:
            return self._late(packet, step)
        if not (known and 0 < step < _MAX_DROPOUT and self._goes_on(packet)):
            return self._begin(packet, now)
        self._last = packet.sequence_number
        self._last_timestamp = packet.timestamp
        self._followed += step
        self._highest += step
        self._timestamp = packet.timestamp + self._timestamp_offset
        self._at = now
        return self._packed(
            packet.marker, self._highest, self._timestamp, packet.payload
        )

    def emit(self, payload: bytes, now: float) -> bytes:
        """Make the next packet of a payload of 20 ms that is our own.

        The first after `leave` or after another source begins a talk spurt.
        """
        begins = self._source != _OWN
        self._timestamp += self._pause(now) if begins else FRAME
        self._source = _OWN
        self._highest += 1
        self._at = now
        return self._packed(begins, self._highest, self._timestamp, payload)

    def _late(self, packet: Packet, step: int) -> bytes | None:
        if self._followed + step < 0:
            return None
        return self._packed(
            packet.marker,
            packet.sequence_number + self._sequence_offset,
            packet.timestamp + self._timestamp_offset,
            packet.payload,
        )

    def _goes_on(self, packet: Packet) -> bool:
        return 0 <= later(packet.timestamp, self._last_timestamp) <= _MAX_SILENCE

    def _begin(self, packet: Packet, now: float) -> bytes:
        self._highest += 1
        self._timestamp += self._pause(now)
        self._at = now
        self._source = packet.ssrc
        self._last = packet.sequence_number
        self._last_timestamp = packet.timestamp
        self._followed = 0
        self._sequence_offset = self._highest - packet.sequence_number
        self._timestamp_offset = self._timestamp - packet.timestamp
        return self._packed(True, self._highest, self._timestamp, packet.payload)

    def _pause(self, now: float) -> int:
        """The time since the last packet in whole frames; at least one."""
        passed = 0.0 if self._at is None else now - self._at
        return FRAME * max(1, round(passed * CLOCK_RATE / FRAME))

    def _packed(
        self, marker: bool, sequence_number: int, timestamp: int, payload: bytes
    ) -> bytes:
        return (
            _HEADER.pack(
                0x80,
                0x80 | self._payload_type if marker else self._payload_type,
                sequence_number & 0xFFFF,
                timestamp & 0xFFFFFFFF,
                self._ssrc,
            )
            + payload
        )
