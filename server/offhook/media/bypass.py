"""RTP that goes past aiortc's receiver and sender, which see none of it.

These are the private parts of aiortc and aioice that packets need; all others are in
`private.py`, and the same holds for both: the versions are pinned in pyproject.toml,
and a contract test fails when a new one moves them.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, NoReturn

import pylibsrtp
from aiortc import MediaStreamTrack
from aiortc.rtcdtlstransport import State
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RTP_HISTORY_SIZE, RtpPacket, is_rtcp

from offhook.media.private import ice_of
from offhook.protocol.rtp import CLOCK_RATE, FRAME, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCRtpTransceiver

    from offhook.protocol.rtp import Packet


# Seconds from 1900 (NTP, RFC 3550 §4) to 1970.
_NTP_EPOCH = 2208988800
# pylibsrtp's buffer, and what it keeps free in it to protect a packet.
_LONGEST = 1500
_LONGEST_SENT = _LONGEST - 144
# A source is remembered for the whole call, by libsrtp, too.
_MOST_SOURCES = 8


class Unsaid(MediaStreamTrack):
    """A track that never has a frame: its sender is asleep."""

    kind = "audio"

    async def recv(self) -> NoReturn:
        """Wait for ever."""
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


def opus_payload_type(transceiver: RTCRtpTransceiver) -> int | None:
    """What Opus has been negotiated as; None if it has not."""
    codecs = (c for c in transceiver._codecs if c.mimeType.lower() == "audio/opus")
    return next((codec.payloadType for codec in codecs), None)


class RtpPath:
    """The RTP of one transceiver, past aiortc's receiver and sender.

    They go on with RTCP, and are told what they need for it: their reports, statistics
    and goodbyes are right. Their queues, threads and codecs see no packet.

    Args:
        transceiver: Its DTLS transport is connected.
        payload_type: The one that is heard.
        hear: Called with each packet, and when it came by the loop's clock. It must
            not raise.

    Attributes:
        ssrc: That of what is sent.
        dropped: How many datagrams were no packets that can be passed on.
    """

    def __init__(
        self,
        transceiver: RTCRtpTransceiver,
        payload_type: int,
        hear: Callable[[Packet, float], None],
    ) -> None:
        self.dropped = 0
        self._payload_type = payload_type
        self._hear = hear
        self._sender: Any = transceiver.sender
        self.ssrc: int = self._sender._ssrc
        self._dtls: Any = transceiver.receiver.transport
        self._connection: Any = ice_of(self._dtls)
        self._unprotect = self._dtls._rx_srtp.unprotect
        self._protect = self._dtls._tx_srtp.protect
        self._sent = b""  # last
        self._sources: dict[bytes, Any] = {}  # at most _MOST_SOURCES
        receiver: Any = transceiver.receiver
        # aiortc makes its receiver reports of these.
        self._reported = receiver._RTCRtpReceiver__remote_streams
        self._to_ntp = time.time() - time.monotonic() + _NTP_EPOCH

    def following(self) -> tuple[int, int]:
        """The sequence number and the timestamp to begin with.

        Where aiortc has sent something, or a path before this one, they are after that:
        for SRTP a stream that goes back is a replay.
        """
        sender = self._sender
        sent = sender._RTCRtpSender__rtp_history.values()
        last = sender._RTCRtpSender__rtp_timestamp
        numbers = [p.sequence_number for p in sent if p.timestamp == last]
        if not numbers:
            # In the lower half, so that nobody misses a wrap before the first packet
            # (RFC 3711 §3.3.1).
            return random.randrange(2**15), random.randrange(2**32)
        return (numbers[-1] + 16) & 0xFFFF, (last + 2 * FRAME) & 0xFFFFFFFF

    def open(self) -> None:
        """Take the packets from now on, and send only what `send` gets."""
        # A frame may be with the encoder: it is not sent any more.
        self._send_any = self._dtls._send_rtp
        self._dtls._send_rtp = self._send_rtcp
        self._sender.replaceTrack(Unsaid())
        # The instance's attribute hides the method, behind every filter of datagrams.
        self._otherwise = self._connection.data_received
        self._connection.data_received = self._received

    def close(self) -> None:
        """Leave the packets to aiortc again."""
        self._connection.data_received = self._otherwise
        self._dtls._send_rtp = self._send_any
        if self._sent:
            packet = RtpPacket.parse(self._sent)
            history = self._sender._RTCRtpSender__rtp_history
            history[packet.sequence_number % RTP_HISTORY_SIZE] = packet

    async def _send_rtcp(self, data: bytes) -> None:
        if is_rtcp(data):
            await self._send_any(data)

    def _received(self, data: bytes, component: int) -> None:
        size = len(data)
        if not (size > 1 and 127 < data[0] < 192):
            self._otherwise(data, component)
        elif size > _LONGEST:
            self.dropped += 1
        elif 191 < data[1] < 224:  # RTCP (RFC 5761 §4)
            self._otherwise(data, component)
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        source = data[8:12]
        statistics: Any = self._sources.get(source)
        if statistics is None and len(self._sources) == _MOST_SOURCES:
            self.dropped += 1
            return
        try:
            plain = self._unprotect(data)
        except pylibsrtp.Error:
            self.dropped += 1
            return
        if statistics is None:
            statistics = self._sources[source] = StreamStatistics(CLOCK_RATE)
        packet = parse(plain)
        if packet is None or packet.payload_type != self._payload_type:
            self.dropped += 1
            return
        statistics.add(packet)
        if statistics.packets_received == 1:
            self._reported[packet.ssrc] = statistics
        self._hear(packet, time.monotonic())

    def send(self, data: bytes, timestamp: int, now: float) -> None:
        """Send a packet, if there is a way; not one that is too long for SRTP."""
        pair = self._connection._nominated.get(1)
        if (
            pair is None
            or len(data) > _LONGEST_SENT
            or self._dtls._state is not State.CONNECTED
        ):
            return
        try:
            protected = self._protect(data)
        except pylibsrtp.Error:
            return  # too late for SRTP's window
        pair.protocol.transport.sendto(protected, pair.remote_addr)
        self._sent = data
        sender = self._sender
        sender._RTCRtpSender__packet_count += 1
        sender._RTCRtpSender__octet_count += len(data) - 12
        sender._RTCRtpSender__rtp_timestamp = timestamp
        sender._RTCRtpSender__ntp_timestamp = int((now + self._to_ntp) * 2**32)
