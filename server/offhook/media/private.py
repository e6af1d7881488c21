"""Every private part of aiortc and aioice that Offhook touches, in one place.

They hold for the versions pinned in pyproject.toml; a contract test fails when a
new version moves them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from typing import TYPE_CHECKING, Any, NoReturn

import ifaddr
import numpy as np
import pylibsrtp
from aioice import ice, stun
from aiortc import MediaStreamTrack, RTCIceGatherer
from aiortc import rtp as aiortc_rtp
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcdtlstransport import State
from aiortc.rtcrtpreceiver import StreamStatistics

from offhook.protocol import rtp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from ipaddress import IPv4Network, IPv6Network

    from aioice import Candidate
    from aioice.ice import Connection, StunProtocol
    from aiortc import (
        RTCDtlsTransport,
        RTCIceServer,
        RTCIceTransport,
        RTCPeerConnection,
        RTCRtpReceiver,
        RTCRtpTransceiver,
    )
    from av import AudioFrame

# aiortc waits for 4 packets before it hands out the first (80 ms for the whole call)
# and, after one loss, for 16 (320 ms). An ear that listens for turns wants neither.
_CAPACITY = 4
_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_STARTED = "_RTCIceTransport__start"
_CONFIGURATION = "_RTCPeerConnection__configuration"
_CONNECT = "_RTCPeerConnection__connect"
# What an SCTP sender may have under way beyond the window that it was granted, and how
# many messages may arrive before an earlier one: aiortc sorts them at each.
_WINDOW_SLACK = 64 * 1024
_MAX_MISORDERED = 2048


def listen_eagerly(receiver: RTCRtpReceiver) -> None:
    """Take 80 ms of waiting out of a receiver; before its first packet."""
    _replace(receiver, _JITTER_BUFFER, JitterBuffer(capacity=_CAPACITY, prefetch=0))


def transports(connection: RTCPeerConnection) -> list[RTCDtlsTransport]:
    """Return the DTLS transports of a peer connection, each over one of ICE."""
    sctp = connection.sctp
    found = [t.receiver.transport for t in connection.getTransceivers()]
    return list(dict.fromkeys([*found, *([sctp.transport] if sctp else ())]))


def ice_servers(connection: RTCPeerConnection) -> list[RTCIceServer]:
    """Return the STUN and TURN servers that a connection was made with."""
    given = _get(connection, _CONFIGURATION).iceServers
    return RTCIceGatherer.getDefaultIceServers() if given is None else given


def ice_of(transport: RTCDtlsTransport) -> Connection:
    """Return the ICE connection under a DTLS transport."""
    return transport.transport._connection


def gather_with(
    connection: Connection, gather: Callable[..., Awaitable[list[Candidate]]]
) -> None:
    """Let something else than aioice open the sockets of a connection."""
    _replace(connection, "get_component_candidates", gather)


def adopt(connection: Connection, protocol: StunProtocol) -> None:
    """Give a socket to a connection, which closes it at its end."""
    connection._protocols.append(protocol)


def abandon_relays(transport: RTCDtlsTransport) -> None:
    """Close what is open to a TURN server that does not answer our goodbye."""
    for protocol in ice_of(transport)._protocols:
        goodbye = getattr(protocol.transport, "_TurnTransport__close_task", None)
        if goodbye:
            goodbye.cancel()


def waiting(connection: Connection) -> int:
    """Count the datagrams that nobody has read yet."""
    return connection._queue.qsize()


def has_succeeded(
    connection: Connection, socket: object, source: tuple[str, int]
) -> bool:
    """Tell whether a check of ours from a socket to an address has been answered."""
    return any(
        pair.protocol is socket
        and pair.remote_addr == source
        and (pair.nominated or pair.state is ice.CandidatePair.State.SUCCEEDED)
        for pair in connection._check_list
    )


def nominated(connection: Connection) -> list[tuple[StunProtocol, tuple[str, int]]]:
    """Return the sockets and the far addresses that are in use."""
    pairs = connection._nominated.values()
    return [(pair.protocol, pair.remote_addr) for pair in pairs]


def contain(connection: RTCPeerConnection, fail: Callable[[Exception], None]) -> None:
    """Keep what a caller can break inside of its call; once the transports are there.

    aiortc leaves exceptions to tasks that nobody awaits, and the traceback to the
    event loop.

    Args:
        connection: The peer connection.
        fail: Is told of each, and ends the call.
    """
    connect = _get(connection, _CONNECT)

    async def connect_contained() -> None:
        try:
            await connect()
        except Exception as error:
            fail(error)

    _replace(connection, _CONNECT, connect_contained)
    for transport in transports(connection):
        _contain_reading(transport, fail)
    if connection.sctp:
        _contain_window(connection.sctp)


def _contain_reading(
    transport: RTCDtlsTransport, fail: Callable[[Exception], None]
) -> None:
    read = _get(transport, "_recv_next")

    async def read_contained() -> None:
        try:
            await read()
        except ConnectionError:
            raise
        except Exception as error:
            fail(error)
            # What aiortc expects where the other side has gone.
            raise ConnectionError from None

    _replace(transport, "_recv_next", read_contained)


def _contain_window(sctp: Any) -> None:
    receive = _get(sctp, "_receive_data_chunk")

    async def receive_within_window(chunk: Any) -> None:
        if (
            sctp._advertised_rwnd < -_WINDOW_SLACK
            or len(sctp._sack_misordered) > _MAX_MISORDERED
        ):
            raise ValueError("the caller sends more than was granted")
        await receive(chunk)

    _replace(sctp, "_receive_data_chunk", receive_within_window)


def own_networks() -> list[IPv4Network | IPv6Network]:
    """Return the subnets that this machine is in."""
    return [
        ipaddress.ip_network(
            f"{ip.ip if isinstance(ip.ip, str) else ip.ip[0]}/{ip.network_prefix}",
            strict=False,
        )
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ]


def _get(owner: object, name: str) -> Any:
    if not hasattr(owner, name):
        raise AttributeError(f"aiortc moved {name}: adapt media/private.py")
    return getattr(owner, name)


def _replace(owner: object, name: str, value: object) -> None:
    _get(owner, name)
    setattr(owner, name, value)


def turn_deaf(receiver: RTCRtpReceiver) -> None:
    """Drop what a receiver gets before it is decoded; after the descriptions are set.

    What nobody reads would be decoded into a queue without end.
    """
    _replace(receiver, "_enabled", False)


async def is_there(transport: RTCIceTransport) -> bool:
    """Ask the other side for a sign of life (RFC 7675), for half a second.

    aioice asks every five seconds, and takes half a minute to give up.
    """
    connection = transport._connection
    key = str(connection.remote_password).encode()
    for pair in tuple(connection._nominated.values()):
        request = connection.build_request(pair, nominate=False)
        try:
            await pair.protocol.request(
                request, pair.remote_addr, integrity_key=key, retransmissions=0
            )
        except stun.TransactionError:
            continue
        return True
    return False


async def stop_asking(connection: RTCPeerConnection) -> None:
    """End what a closed connection may still do: ask for consent, for ever.

    aioice begins to when the last check succeeds in the moment of the close.
    """
    for transport in transports(connection):
        started = getattr(transport.transport, _STARTED)
        if started:
            await started.wait()
        asking = ice_of(transport)._query_consent_task
        if asking:
            asking.cancel()


def measure_levels_quickly() -> None:
    """Replace aiortc's loop over the bytes of each frame that is sent.

    It takes 0.1 ms for 20 ms of mono, and 0.8 ms for a frame of the Opus decoder, whose
    buffer is longer than its samples: these it even counts in.
    """
    _replace(aiortc_rtp, "compute_audio_level_dbov", audio_level)


def audio_level(frame: AudioFrame) -> int:
    """Return the level of a frame of 16-bit samples, from -127 to 0 (RFC 6465)."""
    samples = frame.to_ndarray().astype(np.float32)
    power = float(np.square(samples / 32767).sum()) / frame.samples
    return round(min(0.0, max(-127.0, 10 * math.log10(power)))) if power else -127


def offer_loopback_when_alone() -> None:
    """Let a machine without a network still call itself.

    aioice leaves 127.0.0.1 out of the host candidates, so that on a laptop in a train
    there would be none at all.
    """
    original: Callable[..., list[str]] = ice.get_host_addresses
    if getattr(original, "offhook", False):
        return

    def get_host_addresses(*args: Any, **kwargs: Any) -> list[str]:
        return original(*args, **kwargs) or ["127.0.0.1"]

    get_host_addresses.offhook = True  # type: ignore[attr-defined]  # a mark
    ice.get_host_addresses = get_host_addresses


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
    if not hasattr(transceiver, "_codecs"):
        raise AttributeError("aiortc moved _codecs: adapt media/private.py")
    codecs = (c for c in transceiver._codecs if c.mimeType.lower() == "audio/opus")
    return next((codec.payloadType for codec in codecs), None)


class RtpPath:
    """The RTP of one transceiver, past aiortc's receiver and sender.

    They go on with RTCP, and are told what they need for it: their reports, statistics
    and goodbyes are right. Their queues, threads and codecs see no packet.

    Args:
        transceiver: Its DTLS transport is connected; it has nothing to send itself.
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
        hear: Callable[[rtp.Packet, float], None],
    ) -> None:
        self.dropped = 0
        self._payload_type = payload_type
        self._hear = hear
        self._transceiver = transceiver
        self._sender: Any = transceiver.sender
        self.ssrc: int = self._sender._ssrc
        self._dtls: Any = transceiver.receiver.transport
        self._connection: Any = self._dtls.transport._connection
        self._unprotect = self._dtls._rx_srtp.unprotect
        self._protect = self._dtls._tx_srtp.protect
        self._sources: dict[bytes, Any] = {}  # at most _MOST_SOURCES
        receiver: Any = transceiver.receiver
        # aiortc makes its receiver reports of these.
        self._reported = receiver._RTCRtpReceiver__remote_streams
        self._to_ntp = time.time() - time.monotonic() + _NTP_EPOCH

    def open(self) -> None:
        """Take the packets from now on, and send only what `send` gets."""
        self._sender._enabled = False
        self._sender.replaceTrack(Unsaid())
        # The instance's attribute hides the method, behind every filter of datagrams.
        self._otherwise = self._connection.data_received
        self._connection.data_received = self._received

    def close(self) -> None:
        """Leave the packets to aiortc again."""
        self._connection.data_received = self._otherwise

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
            packet = rtp.parse(self._unprotect(data))
        except pylibsrtp.Error:
            packet = None
        if packet is None or packet.payload_type != self._payload_type:
            self.dropped += 1
            return
        if statistics is None:
            statistics = self._sources[source] = StreamStatistics(rtp.CLOCK_RATE)
            self._reported[packet.ssrc] = statistics
        statistics.add(packet)
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
        pair.protocol.transport.sendto(self._protect(data), pair.remote_addr)
        sender = self._sender
        sender._RTCRtpSender__packet_count += 1
        sender._RTCRtpSender__octet_count += len(data) - 12
        sender._RTCRtpSender__rtp_timestamp = timestamp
        sender._RTCRtpSender__ntp_timestamp = int((now + self._to_ntp) * 2**32)
