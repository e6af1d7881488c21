from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib.metadata import requires, version
from typing import TYPE_CHECKING, Any

import aioice.ice
import numpy as np
import pytest
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    rtcrtpsender,
    rtp,
)
from aiortc.jitterbuffer import JitterBuffer
from av import AudioFrame

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


@pytest.mark.parametrize("change", [listen_eagerly, turn_deaf])
async def test_a_part_that_moved_is_noticed(change: Callable[[Any], None]) -> None:
    with pytest.raises(AttributeError, match=r"media/private\.py"):
        change(object())


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
