"""RTP that goes past aiortc's receiver and sender, which see none of it.

These are the private parts of aiortc and aioice that packets need; all others are in
`private.py`, and the same holds for both: the versions are pinned in pyproject.toml,
and a contract test fails when a new one moves them.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, NoReturn, Self

import pylibsrtp
from aiortc import MediaStreamTrack
from aiortc.rtcdtlstransport import State
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RTP_HISTORY_SIZE, RtpPacket, is_rtcp

from offhook.audio import opus
from offhook.errors import InvalidRequest, ServerError
from offhook.media.bucket import Bucket
from offhook.media.path import Statistics
from offhook.media.private import ice_of
from offhook.protocol.rtp import CLOCK_RATE, FRAME, parse

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection, RTCRtpTransceiver

    from offhook.media.path import Tap


# Seconds from 1900 (NTP, RFC 3550 §4) to 1970.
_NTP_EPOCH = 2208988800
# pylibsrtp's buffer, and what it keeps free in it to protect a packet.
_LONGEST = 1500
_LONGEST_SENT = _LONGEST - 144
# A source is remembered for the whole call, by libsrtp, too.
_MOST_SOURCES = 8
# Nobody speaks faster than time goes by: what does would cost the model's money, and
# the processor's time where it is decoded. Seconds in a second, and at once, as after
# a stall of the network.
_PACE, _AT_ONCE = 1.25, 10.0


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

    They go on with ICE, DTLS, RTCP and the data channel, and are told what they need:
    their reports, statistics and goodbyes are right. Their queues, threads and codecs
    see no packet.

    Args:
        transceiver: The audio of a connection that is up.

    Attributes:
        transceiver: The same.
        ssrc: That of what is sent.
        payload_type: That of what is sent and heard.

    Raises:
        InvalidRequest: The other side does not speak Opus.
        ServerError: The connection is not up.
    """

    def __init__(self, transceiver: RTCRtpTransceiver) -> None:
        payload_type = opus_payload_type(transceiver)
        if payload_type is None:
            raise InvalidRequest(
                "A bridged call needs Opus: offer it, or call directly.",
                code="unsupported_codec",
            )
        if transceiver.receiver.transport.state != "connected":
            raise ServerError("A leg needs a connection that is up: wait for it.")
        self.transceiver = transceiver
        self.payload_type = payload_type
        self._dropped = 0  # datagrams that were no packets that can be passed on
        self._pace = Bucket(_PACE * CLOCK_RATE, _AT_ONCE * CLOCK_RATE)
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

    @classmethod
    def of(cls, connection: RTCPeerConnection) -> Self:
        """Take the first audio of a connection; see above for what it raises."""
        voices = (t for t in connection.getTransceivers() if t.kind == "audio")
        voice = next(voices, None)
        if voice is None:
            raise ServerError("A leg needs audio: the connection has none.")
        return cls(voice)

    def following(self) -> tuple[int, int]:
        """See PacketPath.

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

    def open(self, hear: Tap) -> None:
        """Take the packets from now on, and send only what `send` gets."""
        self._hear = hear
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
            self._dropped += 1
        elif 191 < data[1] < 224:  # RTCP (RFC 5761 §4)
            self._otherwise(data, component)
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        source = data[8:12]
        statistics: Any = self._sources.get(source)
        if statistics is None and len(self._sources) == _MOST_SOURCES:
            self._dropped += 1
            return
        try:
            plain = self._unprotect(data)
        except pylibsrtp.Error:
            self._dropped += 1
            return
        if statistics is None:
            statistics = self._sources[source] = StreamStatistics(CLOCK_RATE)
        packet = parse(plain)
        if packet is None or packet.payload_type != self.payload_type:
            self._dropped += 1
            return
        statistics.add(packet)
        if statistics.packets_received == 1:
            self._reported[packet.ssrc] = statistics
        now = time.monotonic()
        if not self._pace.take(now, opus.duration(packet.payload) or FRAME):
            self._dropped += 1
            return
        self._hear(packet, now)

    def send(self, data: bytes, timestamp: int, now: float) -> None:
        """See PacketPath; one that is too long for SRTP is not sent."""
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

    async def statistics(self) -> Statistics:
        """See PacketPath."""
        received = (await self.transceiver.receiver.getStats()).values()
        sent = (await self.transceiver.sender.getStats()).values()
        inbound = [entry for entry in received if entry.type == "inbound-rtp"]
        reports = [entry for entry in sent if entry.type == "remote-inbound-rtp"]
        return Statistics(
            packets_received=sum(entry.packetsReceived for entry in inbound),
            packets_lost=sum(entry.packetsLost for entry in inbound),
            jitter_s=max((e.jitter for e in inbound), default=0) / CLOCK_RATE,
            dropped=self._dropped,
            packets_sent=sum(e.packetsSent for e in sent if e.type == "outbound-rtp"),
            packets_missed=reports[-1].packetsLost if reports else None,
            round_trip_s=reports[-1].roundTripTime if reports else None,
        )
