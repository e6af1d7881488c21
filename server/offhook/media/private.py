"""Every private part of aiortc and aioice that Offhook touches, in one place.

They hold for the versions pinned in pyproject.toml; a contract test fails when a
new version moves them.
"""

from __future__ import annotations

import ipaddress
import math
import time
from typing import TYPE_CHECKING, Any

import ifaddr
import numpy as np
from aioice import ice, stun
from aiortc import RTCIceGatherer, rtp
from aiortc.jitterbuffer import JitterBuffer

from offhook.protocol.rtp import Packet, parse

if TYPE_CHECKING:
    from asyncio import Task
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

    from offhook.media.path import Tap

# aiortc waits for 4 packets before it hands out the first (80 ms for the whole call)
# and, after one loss, for 16 (320 ms). An ear that listens for turns wants neither.
_CAPACITY = 4
_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_STARTED = "_RTCIceTransport__start"
_CONFIGURATION = "_RTCPeerConnection__configuration"
_CONNECT = "_RTCPeerConnection__connect"
_CLOSING = "_RTCPeerConnection__closeTask"
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


def closing(connection: RTCPeerConnection) -> Task[None] | None:
    """Return the task that closes a connection which the other side has left."""
    task: Task[None] | None = _get(connection, _CLOSING)
    return task


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


def packets_received(connection: RTCPeerConnection) -> int:
    """Count what has come; getStats would make a task for each of its entries."""
    ways = transports(connection)
    heard: int = sum(_get(way, "_RTCDtlsTransport__rx_packets") for way in ways)
    for receiver in connection.getReceivers():
        streams = _get(receiver, "_RTCRtpReceiver__remote_streams")
        heard += sum(stream.packets_received for stream in streams.values())
    return heard


def overhear(
    transceiver: RTCRtpTransceiver, payload_type: int | None, said: Tap, heard: Tap
) -> None:
    """Call taps with each packet that is sent, and that is received before it is read.

    Args:
        transceiver: One whose descriptions are set.
        payload_type: Of the packets.
        said: Gets what is sent over its transport.
        heard: Gets what it receives.
    """
    receiver: Any = transceiver.receiver
    transport: Any = receiver.transport
    handle = _get(receiver, "_handle_rtp_packet")
    send = _get(transport, "_send_rtp")

    async def handle_overheard(packet: rtp.RtpPacket, arrival_time_ms: int) -> None:
        taken = Packet(
            packet.payload_type,
            bool(packet.marker),
            packet.sequence_number,
            packet.timestamp,
            packet.ssrc,
            packet.payload,
        )
        if taken.payload_type == payload_type:
            heard(taken, time.monotonic())
        await handle(packet, arrival_time_ms)

    async def send_overheard(data: bytes) -> None:
        packet = None if rtp.is_rtcp(data) else parse(data)
        if packet and packet.payload_type == payload_type:
            said(packet, time.monotonic())
        await send(data)

    _replace(receiver, "_handle_rtp_packet", handle_overheard)
    _replace(transport, "_send_rtp", send_overheard)


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
    _replace(rtp, "compute_audio_level_dbov", audio_level)


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
