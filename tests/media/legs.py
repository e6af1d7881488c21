"""Both ends of a leg: an aiortc peer that answers, and a far end that sends packets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pylibsrtp
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtp import RtcpPacket

from offhook.media.bypass import RtpPath
from offhook.protocol import rtp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from aiortc import MediaStreamTrack, RTCRtpTransceiver


class Far:
    """A far end: sends packets of its own, and keeps those that come."""

    def __init__(self, peer: RTCPeerConnection) -> None:
        self.peer = peer
        self.heard: list[rtp.Packet] = []
        self.rtcp: list[Any] = []
        self.path = RtpPath.of(peer)
        self.path.open(self._hear)
        self.stream = rtp.Stream(self.path.ssrc, self.path.payload_type, 100, 9600)
        self._news = asyncio.Event()
        dtls: Any = self.path.transceiver.receiver.transport
        self._dtls = dtls
        self._read: Any = dtls._handle_rtcp_data
        dtls._handle_rtcp_data = self._read_rtcp

    @property
    def payloads(self) -> list[bytes]:
        return [packet.payload for packet in self.heard]

    def say(self, payload: bytes, at: float = 0.0) -> None:
        """Send the next packet."""
        self.path.send(self.stream.emit(payload, at), self.stream.timestamp, 0.0)

    async def say_all(self, payloads: Iterable[bytes]) -> None:
        """Send packets in real time."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for payload in payloads:
            self.say(payload)
            due += 0.02
            await asyncio.sleep(due - loop.time())

    def throw(self, datagram: bytes) -> None:
        """Send a datagram as it is, from the right address."""
        pair = self._dtls.transport._connection._nominated[1]
        pair.protocol.transport.sendto(datagram, pair.remote_addr)

    def protected(self, data: bytes) -> bytes:
        """Encrypt an RTP packet, whatever it is."""
        # The buffer of pylibsrtp would not hold what is too long for it to send.
        ffi: Any = vars(pylibsrtp)["ffi"]
        session = self._dtls._tx_srtp
        session._cdata = ffi.new("char[]", 2000)
        session._buffer = ffi.buffer(session._cdata)
        return bytes(session.protect(data))

    def protected_rtcp(self, data: bytes) -> bytes:
        """Encrypt an RTCP packet, whatever it is."""
        return bytes(self._dtls._tx_srtp.protect_rtcp(data))

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that comes."""
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def _hear(self, packet: rtp.Packet, now: float) -> None:
        self.heard.append(packet)
        self._news.set()

    async def _read_rtcp(self, data: bytes) -> None:
        await self._read(data)
        self.rtcp += RtcpPacket.parse(data)
        self._news.set()


def answer_to_report(transceiver: RTCRtpTransceiver) -> asyncio.Future[None]:
    """Return what is done when the far end has answered a report of ours."""
    sender: Any = transceiver.sender
    answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    handle = sender._handle_rtcp_packet

    async def handle_and_tell(packet: Any) -> None:
        await handle(packet)
        if any(report.dlsr for report in packet.reports) and not answered.done():
            answered.set_result(None)

    sender._handle_rtcp_packet = handle_and_tell
    return answered


async def connected(peer: RTCPeerConnection) -> None:
    changed = asyncio.Event()
    peer.on("connectionstatechange", changed.set)
    async with asyncio.timeout(10):
        while peer.connectionState != "connected":
            changed.clear()
            await changed.wait()


async def answered(
    caller: RTCPeerConnection, voice: MediaStreamTrack | None = None
) -> RTCPeerConnection:
    """Answer a caller, with a voice by aiortc or none, and be connected."""
    peer = RTCPeerConnection(RTCConfiguration([]))
    if voice:
        peer.addTrack(voice)
    await caller.setLocalDescription(await caller.createOffer())
    await peer.setRemoteDescription(caller.localDescription)
    peer.getTransceivers()[0].direction = "sendrecv"
    await peer.setLocalDescription(await peer.createAnswer())
    await caller.setRemoteDescription(peer.localDescription)
    await asyncio.gather(connected(peer), connected(caller))
    return peer


@asynccontextmanager
async def far_end() -> AsyncIterator[tuple[Far, RtpPath]]:
    """A far end, and our own path to it."""
    caller = RTCPeerConnection(RTCConfiguration([]))
    caller.addTransceiver("audio")
    peer = await answered(caller)
    try:
        yield Far(caller), RtpPath.of(peer)
    finally:
        await caller.close()
        await peer.close()
