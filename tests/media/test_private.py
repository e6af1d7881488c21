from __future__ import annotations

from importlib.metadata import requires, version
from typing import TYPE_CHECKING, Any

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.jitterbuffer import JitterBuffer

from offhook.media.private import listen_eagerly, offer_loopback_when_alone

if TYPE_CHECKING:
    from aiortc import RTCRtpReceiver

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
