from __future__ import annotations

import asyncio
from importlib.metadata import requires, version
from inspect import getsource
from typing import TYPE_CHECKING, Any

import aioice.ice
import pytest
from aioice import ice
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcdtlstransport import State

from offhook.media.private import (
    RtpPath,
    Unsaid,
    listen_eagerly,
    offer_loopback_when_alone,
    opus_payload_type,
)
from tests.media.legs import far_end

if TYPE_CHECKING:
    from aiortc import RTCRtpReceiver

    from offhook.protocol.rtp import Packet

pytestmark = pytest.mark.anyio

BUFFER = "_RTCRtpReceiver__jitter_buffer"


@pytest.mark.parametrize("package", ["aiortc", "aioice"])
async def test_the_version_is_the_one_that_is_pinned(package: str) -> None:
    pins = [pin for pin in requires("offhook") or () if pin.startswith(f"{package}==")]
    assert pins
    assert pins[0].split(";")[0].strip() == f"{package}=={version(package)}"


def receiver_of(peer: RTCPeerConnection) -> RTCRtpReceiver:
    return peer.addTransceiver("audio").receiver


async def test_a_receiver_has_the_buffer_that_we_exchange() -> None:
    peer = RTCPeerConnection(RTCConfiguration([]))
    buffer = getattr(receiver_of(peer), BUFFER)
    assert isinstance(buffer, JitterBuffer)
    # If aiortc ever waits less by itself, ours is not needed any more.
    assert buffer.capacity > 4
    await peer.close()


async def test_an_eager_receiver_has_a_small_buffer() -> None:
    peer = RTCPeerConnection(RTCConfiguration([]))
    receiver = receiver_of(peer)
    listen_eagerly(receiver)
    assert getattr(receiver, BUFFER).capacity == 4
    await peer.close()


async def test_a_buffer_that_moved_is_noticed() -> None:
    other: Any = object()
    with pytest.raises(AttributeError, match=r"media/private\.py"):
        listen_eagerly(other)


@pytest.mark.parametrize(
    ("found", "offered"),
    [([], ["127.0.0.1"]), (["192.0.2.1", "2001:db8::1"], None)],
)
async def test_loopback_is_offered_by_a_machine_without_an_address(
    monkeypatch: pytest.MonkeyPatch, found: list[str], offered: list[str] | None
) -> None:
    asked: list[dict[str, bool]] = []

    def addresses(**wanted: bool) -> list[str]:
        asked.append(wanted)
        return found

    monkeypatch.setattr(aioice.ice, "get_host_addresses", addresses)
    offer_loopback_when_alone()
    once = aioice.ice.get_host_addresses
    offer_loopback_when_alone()
    assert aioice.ice.get_host_addresses is once
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False) == (
        offered or found
    )
    assert asked == [{"use_ipv4": True, "use_ipv6": False}]


async def test_a_machine_without_an_address_has_a_candidate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_, **__: [])
    offer_loopback_when_alone()
    peer = RTCPeerConnection(RTCConfiguration([]))
    peer.addTransceiver("audio")
    await peer.setLocalDescription(await peer.createOffer())
    candidates = [
        line
        for line in peer.localDescription.sdp.splitlines()
        if line.startswith("a=candidate:")
    ]
    await peer.close()
    assert candidates
    assert all(" 127.0.0.1 " in line for line in candidates)


async def test_the_parts_that_rtp_goes_past_are_where_they_were() -> None:
    """What this asks for, `RtpPath` uses."""
    async with far_end() as (_, transceiver):
        sender: Any = transceiver.sender
        receiver: Any = transceiver.receiver
        dtls: Any = receiver.transport
        connection = dtls.transport._connection
        assert transceiver._codecs[0].mimeType == "audio/opus"
        assert opus_payload_type(transceiver) == 96
        assert sender._enabled is True
        assert isinstance(sender._ssrc, int)
        for name in ("packet_count", "octet_count", "rtp_timestamp", "ntp_timestamp"):
            assert getattr(sender, f"_RTCRtpSender__{name}") == 0
        assert receiver._RTCRtpReceiver__remote_streams == {}
        assert dtls._state is State.CONNECTED
        assert callable(dtls._rx_srtp.unprotect)
        assert callable(dtls._tx_srtp.protect)
        pair = connection._nominated[1]
        assert pair.protocol.receiver is connection
        assert callable(pair.protocol.transport.sendto)
        assert isinstance(pair.remote_addr, tuple)
        # The hook: a method that the sockets call by this name.
        assert connection.data_received.__func__ is ice.Connection.data_received
        assert "receiver.data_received(" in getsource(ice.StunProtocol)


async def test_the_path_gives_the_packets_back() -> None:
    heard: list[Packet] = []
    async with far_end() as (far, transceiver):
        connection: Any = transceiver.receiver.transport.transport._connection
        path = RtpPath(transceiver, 96, lambda packet, now: heard.append(packet))
        path.open()
        sender: Any = transceiver.sender
        assert isinstance(sender.track, Unsaid)
        assert not sender._enabled  # what its old track gave is not sent any more
        path.close()
        arrived: asyncio.Queue[bytes] = asyncio.Queue()
        connection.data_received = lambda data, component: arrived.put_nowait(data)
        far.say(b"x")
        async with asyncio.timeout(5):
            await arrived.get()
    assert heard == []


async def test_a_way_that_is_gone_takes_packets_in_vain() -> None:
    async with far_end() as (far, transceiver):
        path = RtpPath(transceiver, 96, lambda packet, now: None)
        path.open()
        await transceiver.receiver.transport.stop()
        await far.peer.close()
        path.send(bytes(50), 0, 0.0)
        await transceiver.receiver.transport.transport.stop()
        path.send(bytes(50), 0, 0.0)
