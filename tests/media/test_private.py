from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib.metadata import requires, version
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import aioice.ice
import numpy as np
import pytest
from aioice import Candidate, Connection, ice
from aioice.ice import StunProtocol
from aioice.turn import TurnTransport
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    rtcrtpsender,
    rtp,
)
from aiortc.jitterbuffer import JitterBuffer
from anyio.lowlevel import checkpoint
from av import AudioFrame

from offhook.media import private
from offhook.media.private import (
    audio_level,
    is_there,
    listen_eagerly,
    measure_levels_quickly,
    offer_loopback_when_alone,
    stop_asking,
    turn_deaf,
)
from tests.answerer import Answerer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiortc import RTCRtpReceiver

pytestmark = pytest.mark.anyio

CANDIDATE = Candidate("1", 1, "udp", 1, "192.0.2.1", 5, "host")
BUFFER = "_RTCRtpReceiver__jitter_buffer"
HANDLE = "_handle_rtp_packet"
CONNECTION = "_connection"
ASKING = "_query_consent_task"
# aiortc's own, unless another test has replaced it.
LEVEL = rtp.compute_audio_level_dbov


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
        turn_deaf,
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
    assert vars(TurnTransport(None))["_TurnTransport__close_task"] is None  # type: ignore[arg-type]  # sends nothing
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


async def test_a_deaf_receiver_takes_no_packet() -> None:
    peer = RTCPeerConnection(RTCConfiguration([]))
    receiver = receiver_of(peer)
    turn_deaf(receiver)
    # A packet of nothing would fail if it were looked at.
    await getattr(receiver, HANDLE)(None, 0)
    await peer.close()


def loud(layout: str, volume: float) -> AudioFrame:
    samples = (np.random.default_rng(7).normal(0, 1, (1, 1920)) * volume).clip(-1, 1)
    pcm = (samples * 32767).astype("<i2")[:, : 960 * (2 if layout == "stereo" else 1)]
    frame = AudioFrame.from_ndarray(pcm, format="s16", layout=layout)
    frame.sample_rate = 48000
    return frame


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("volume", [0, 0.00003, 0.001, 0.1, 0.5, 100])
def test_our_level_of_a_frame_is_that_of_aiortc(layout: str, volume: float) -> None:
    frame = loud(layout, volume)
    assert abs(audio_level(frame) - LEVEL(frame)) <= 1
    assert audio_level(frame) == -127 or volume


async def test_the_sender_asks_for_our_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtp, "compute_audio_level_dbov", LEVEL)
    measure_levels_quickly()
    assert vars(rtcrtpsender)["rtp"].compute_audio_level_dbov is audio_level
    monkeypatch.delattr(rtp, "compute_audio_level_dbov")
    with pytest.raises(AttributeError, match=r"media/private\.py"):
        measure_levels_quickly()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[RTCPeerConnection, Answerer]]:
    near = RTCPeerConnection(RTCConfiguration([]))
    opened = asyncio.Event()
    near.addTransceiver("audio")
    near.createDataChannel("any").on("open", opened.set)
    async with Answerer() as far:
        await near.setLocalDescription(await near.createOffer())
        answer = await far.answer(near.localDescription.sdp)
        await near.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await asyncio.wait_for(opened.wait(), 10)
        yield near, far
        await near.close()


async def test_whoever_answers_is_there() -> None:
    async with connected() as (near, far):
        ice = near.getReceivers()[0].transport.transport
        assert await is_there(ice)
        with far.mute():
            assert not await is_there(ice)
        assert await is_there(ice)
        await near.close()
        assert not await is_there(ice)


async def test_a_closed_connection_asks_nobody_any_more() -> None:
    """The race, made sure of: the last check succeeds while it is being closed."""
    async with connected() as (near, _):
        ice = near.getReceivers()[0].transport.transport
        await near.close()
        connection = getattr(ice, CONNECTION)
        connection.remote_password = "any"
        asking = asyncio.create_task(connection.query_consent())
        setattr(connection, ASKING, asking)
        await stop_asking(near)
        await asyncio.wait([asking], timeout=1)
        assert asking.cancelled()


async def test_what_came_is_counted_as_the_statistics_count_it() -> None:
    async with connected() as (near, _):
        before = private.packets_received(near)
        stats = await near.getStats()
        counted = sum(getattr(s, "packetsReceived", 0) for s in stats.values())
        assert 0 < before <= counted <= private.packets_received(near)


async def test_a_connection_that_was_left_is_closed_by_aiortc() -> None:
    async with connected() as (near, far):
        assert private.closing(near) is None
        await far.close()
        async with asyncio.timeout(10):
            while not (closing := private.closing(near)):
                await checkpoint()
            await closing
        assert near.connectionState == "closed"


async def test_what_was_never_connected_asks_nobody() -> None:
    peer = RTCPeerConnection(RTCConfiguration([]))
    peer.createDataChannel("any")
    await peer.close()
    await stop_asking(peer)


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
