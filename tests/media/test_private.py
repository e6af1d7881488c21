from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib.metadata import requires, version
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import aioice.ice
import pytest
from aioice import Candidate, Connection, ice
from aioice.ice import StunProtocol
from aioice.turn import TurnTransport
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.jitterbuffer import JitterBuffer
from anyio.lowlevel import checkpoint

from offhook.media import private
from offhook.media.private import listen_eagerly, offer_loopback_when_alone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiortc import RTCRtpReceiver

pytestmark = pytest.mark.anyio

CANDIDATE = Candidate("1", 1, "udp", 1, "192.0.2.1", 5, "host")
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


@pytest.mark.parametrize(
    "use",
    [
        listen_eagerly,
        lambda moved: private.gather_with(moved, moved),
        lambda moved: private.contain(moved, moved),
    ],
)
async def test_what_moved_is_noticed(use: Callable[[Any], None]) -> None:
    with pytest.raises(AttributeError, match=r"media/private\.py"):
        use(object())


async def test_what_we_read_and_call_is_there() -> None:
    """That we can exchange it is noticed when we do."""
    connection = Connection(ice_controlling=False)
    assert (connection._check_list, connection._protocols) == ([], [])
    assert connection._nominated == {}
    assert connection._queue.qsize() == 0
    assert vars(TurnTransport(None))["_TurnTransport__close_task"] is None  # type: ignore[arg-type]
    pair = ice.CandidatePair(StunProtocol(connection), CANDIDATE)
    assert (pair.remote_addr, pair.nominated) == (("192.0.2.1", 5), False)
    assert pair.state is ice.CandidatePair.State.FROZEN


async def test_transports_are_those_of_all_lines() -> None:
    peer = RTCPeerConnection(RTCConfiguration([]))
    peer.addTransceiver("audio")
    peer.addTransceiver("video")
    peer.createDataChannel("x")
    found = private.transports(peer)
    assert len(found) == 3  # until they are bundled
    assert all(isinstance(private.ice_of(each), Connection) for each in found)
    await peer.close()


async def test_our_own_networks_have_our_addresses() -> None:
    networks = private.own_networks()
    for address in ["127.0.0.1", *ice.get_host_addresses(True, True)]:
        assert any(ip_address(address) in network for network in networks)


@asynccontextmanager
async def contained() -> AsyncIterator[tuple[Any, RTCPeerConnection, list[Exception]]]:
    """Two connected connections, and what the second one's other side broke."""
    near, far = (RTCPeerConnection(RTCConfiguration([])) for _ in range(2))
    broken: list[Exception] = []
    opened = asyncio.Event()
    channel = near.createDataChannel("x")
    channel.on("open", opened.set)
    try:
        await near.setLocalDescription(await near.createOffer())
        await far.setRemoteDescription(near.localDescription)
        private.contain(far, broken.append)
        await far.setLocalDescription(await far.createAnswer())
        await near.setRemoteDescription(far.localDescription)
        async with asyncio.timeout(10):
            await opened.wait()
        yield channel, far, broken
    finally:
        await near.close()
        await far.close()


@pytest.mark.parametrize(
    ("book", "entry"),
    [("_advertised_rwnd", -(2**20)), ("_sack_misordered", set(range(3000)))],
)
async def test_who_sends_more_than_is_granted_is_noticed(
    book: str, entry: object
) -> None:
    async with contained() as (channel, far, broken):
        gone = asyncio.Event()
        far.on("connectionstatechange", gone.set)
        assert book in vars(far.sctp)
        vars(far.sctp)[book] = entry
        channel.send("one more")
        async with asyncio.timeout(10):
            await gone.wait()
        assert [str(error) for error in broken] == [
            "the caller sends more than was granted"
        ]


async def test_who_keeps_to_it_is_not() -> None:
    async with contained() as (channel, far, broken):
        arrived: asyncio.Future[str] = asyncio.Future()
        assert far.sctp
        far.sctp._data_channels[channel.id].on("message", arrived.set_result)
        channel.send("x" * 200_000)
        async with asyncio.timeout(10):
            assert len(await arrived) == 200_000
        assert broken == []


async def test_what_breaks_while_it_connects_is_told_and_goes_nowhere_else() -> None:
    broken: list[Exception] = []
    peer = RTCPeerConnection(RTCConfiguration([]))
    peer.addTransceiver("audio")

    async def break_() -> None:
        raise AssertionError

    vars(peer)["_RTCPeerConnection__connect"] = break_
    private.contain(peer, broken.append)
    await peer.setLocalDescription(await peer.createOffer())
    async with asyncio.timeout(5):
        while not broken:
            await checkpoint()
    await peer.close()
    assert [type(error) for error in broken] == [AssertionError]


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
