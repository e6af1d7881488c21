from __future__ import annotations

import asyncio
import gc
import os
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aioice.ice
import aioice.stun
import pytest
from aiortc import RTCSessionDescription, VideoStreamTrack

from offhook.errors import InvalidRequest
from offhook.media.peer import Peer
from offhook.protocol.sdp import check_offer
from tests.caller import Caller, offer
from tests.media.calls import Ear, nothing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

pytestmark = pytest.mark.anyio

# Chromium 146, before it has gathered anything; this is how agents-js posts it.
CHROMIUM = """\
v=0
o=- 5623997308659086817 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:qfeV
a=ice-pwd:gFAdUN1jDGqD4ZC9DLZa0k4Q
a=ice-options:trickle
a=fingerprint:sha-256 7B:20:EE:B4:21:B4:DF:6E:BE:80:07:5D:93:8E:71:51:18:27:84:62:24:\
52:2C:B0:43:5B:7E:67:22:67:6C:0A
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:- ac2421af-2c55-4833-91dc-10da3127f616
a=rtcp-mux
a=rtcp-rsize
a=rtcp-xr:rcvr-rtt=all
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:2305688322 cname:Z3FkbSLDvkZtWtb9
a=ssrc:2305688322 msid:- ac2421af-2c55-4833-91dc-10da3127f616
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:qfeV
a=ice-pwd:gFAdUN1jDGqD4ZC9DLZa0k4Q
a=ice-options:trickle
a=fingerprint:sha-256 7B:20:EE:B4:21:B4:DF:6E:BE:80:07:5D:93:8E:71:51:18:27:84:62:24:\
52:2C:B0:43:5B:7E:67:22:67:6C:0A
a=setup:actpass
a=mid:1
a=sctp-port:5000
a=max-message-size:262144
""".replace("\n", "\r\n")
AUDIO_ONLY = CHROMIUM[: CHROMIUM.index("m=application")].replace(
    "BUNDLE 0 1", "BUNDLE 0"
)


@asynccontextmanager
async def calling(
    caller: Caller | None = None, **options: Any
) -> AsyncIterator[tuple[Caller, Peer, Ear]]:
    """A caller and a peer that are connected."""
    caller, ear = caller or Caller(), Ear()
    ready = asyncio.Event()
    caller.channel.on("open", ready.set)
    async with Peer(ear, nothing, **options) as peer:
        try:
            answer = await peer.answer(await offer(caller))
            await caller.peer.setRemoteDescription(
                RTCSessionDescription(answer, "answer")
            )
            async with asyncio.timeout(10):
                await ready.wait()
            await ear.until(lambda: ear.openings)
            yield caller, peer, ear
        finally:
            await caller.close()


async def over(peer: Peer) -> None:
    """Wait until a call is over."""
    async with asyncio.timeout(10):
        await peer.run()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def directions(answer: str) -> list[tuple[str, str]]:
    pattern = r"^m=(\w+)|^a=(sendrecv|sendonly|recvonly|inactive)\r$"
    words = [m[1] or m[2] for m in re.finditer(pattern, answer, re.MULTILINE)]
    return [
        (a, b)
        for a, b in zip(words, [*words[1:], ""], strict=True)
        if a == "audio" or a == "video"
    ]


async def test_what_chromium_offers_is_answered() -> None:
    async with Peer(Ear(), nothing) as peer:
        answer = await peer.answer(check_offer(CHROMIUM.encode()))
    assert "a=rtpmap:111 opus/48000/2" in answer
    assert "m=application" in answer
    assert "a=setup:active" in answer
    assert "a=candidate:" in answer
    assert "a=end-of-candidates" in answer
    assert directions(answer) == [("audio", "sendrecv")]


async def test_audio_and_events_flow_both_ways() -> None:
    async with calling() as (caller, peer, ear):
        caller.send("hello")
        await ear.until(lambda: ear.messages)
        assert ear.messages == ['{"type": "hello"}']
        peer.send('{"type":"welcome"}')
        await caller.until("welcome")
        await ear.until(lambda: len(ear.pcm) > 4800)
        assert ear.openings == 1


async def test_a_caller_without_candidates_is_found_by_its_checks() -> None:
    caller, ear = Caller(), Ear()
    async with Peer(ear, nothing) as peer:
        bare = re.sub(r"a=(candidate:|end-of-).*\r\n", "", await offer(caller))
        answer = await peer.answer(bare)
        remote = RTCSessionDescription(answer, "answer")
        await caller.peer.setRemoteDescription(remote)
        await ear.until(lambda: ear.openings)
        await caller.close()


async def test_a_call_without_a_data_channel_is_a_call() -> None:
    async with Peer(Ear(), nothing) as peer:
        answer = await peer.answer(AUDIO_ONLY)
        peer.send("{}")
    assert "m=application" not in answer


async def test_a_camera_is_accepted_and_not_watched() -> None:
    """What nobody reads would be decoded into a queue without end."""
    caller = Caller()
    caller.peer.addTrack(VideoStreamTrack())
    ear = Ear()
    async with Peer(ear, nothing) as peer:
        answer = await peer.answer(await offer(caller))
        assert directions(answer) == [("audio", "sendrecv"), ("video", "inactive")]
        remote = RTCSessionDescription(answer, "answer")
        await caller.peer.setRemoteDescription(remote)
        await ear.until(lambda: ear.openings and len(ear.pcm) > 4800)
        await caller.close()


async def test_of_two_microphones_the_first_is_heard() -> None:
    caller = Caller()
    caller.peer.addTransceiver("audio")
    async with calling(caller) as (_, _, ear):
        await ear.until(lambda: len(ear.pcm) > 4800)
        answer = caller.peer.remoteDescription.sdp
        assert directions(answer) == [("audio", "sendrecv"), ("audio", "inactive")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=setup:actpass", "a=setup:holdconn"),
        ("a=rtcp-mux\r\n", ""),
        ("opus/48000/2", "opus"),
        ("a=rtpmap:111", "a=rtpmap:x"),
        ("a=mid:1", "a=mid:0"),
        ("BUNDLE 0 1", "BUNDLE 7 1"),
        ("a=sctp-port:5000", "a=sctp-port"),
        ("a=sctp-port:5000", "a=sctp-port:x"),
        ("a=max-message-size:262144", "a=max-message-size"),
        ("SAVPF 111 63 9 0 8 13 110 126", "SAVPF 77"),
        ("c=IN IP4 0.0.0.0", "c=IN"),
        ("a=ssrc:2305688322 cname", "a=ssrc:x cname"),
        ("a=extmap:1 urn", "a=extmap:x urn"),
        ("m=application 9", "m=application 99999"),
    ],
)
async def test_a_malformed_offer_is_refused_or_answered_and_leaves_nothing(
    old: str, new: str
) -> None:
    sdp = CHROMIUM.replace(old, new)
    assert sdp != CHROMIUM
    gc.collect()
    before, tasks = descriptors(), asyncio.all_tasks()
    async with Peer(Ear(), nothing) as peer:
        try:
            await peer.answer(sdp)
        except InvalidRequest as error:
            assert (error.status, error.code) == (400, "invalid_offer")
    assert descriptors() == before
    await settled(tasks)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=setup:actpass", "a=setup:holdconn"),
        ("a=sctp-port:5000", "a=sctp-port"),
        ("BUNDLE 0 1", "BUNDLE 7 1"),
    ],
)
async def test_what_cannot_be_answered_is_the_callers_fault(old: str, new: str) -> None:
    async with Peer(Ear(), nothing) as peer:
        with pytest.raises(InvalidRequest, match="Invalid SDP offer: "):
            await peer.answer(CHROMIUM.replace(old, new))


async def settled(before: set[asyncio.Task[Any]]) -> None:
    """Wait until no task is left that was not there before."""
    async with asyncio.timeout(10):
        while left := asyncio.all_tasks() - before:
            await asyncio.wait(left)


async def test_callers_who_never_connect_give_everything_back() -> None:
    gc.collect()
    before, tasks = descriptors(), asyncio.all_tasks()
    peers = [Peer(Ear(), nothing) for _ in range(5)]
    await asyncio.gather(*(peer.answer(CHROMIUM) for peer in peers))
    assert descriptors() > before
    await asyncio.gather(*(peer.close() for peer in peers))
    assert descriptors() == before
    await settled(tasks)


async def test_a_caller_who_never_connects_is_given_up() -> None:
    async with Peer(Ear(), nothing, patience=0.05) as peer:
        await peer.answer(CHROMIUM)
        await over(peer)


async def test_whoever_connected_may_stay() -> None:
    async with calling() as (_, peer, ear):
        running = asyncio.create_task(peer.run())
        await ear.until(lambda: len(ear.pcm) > 4800)
        assert not running.done()
        await peer.close()
        await running


async def test_the_call_is_over_when_the_caller_leaves() -> None:
    async with calling() as (caller, peer, _):
        await caller.close()
        await over(peer)


async def test_the_call_is_over_when_the_channel_is_closed() -> None:
    async with calling() as (caller, peer, _):
        caller.channel.close()
        await over(peer)


async def test_the_call_is_over_when_the_caller_has_vanished() -> None:
    async with calling(silence=0.2) as (caller, peer, ear):
        running = asyncio.create_task(peer.run())
        await ear.until(lambda: len(ear.pcm) > 4800)
        await caller.peer.getSenders()[0].transport.transport.stop()
        async with asyncio.timeout(10):
            await running


async def test_the_call_goes_on_when_we_close_the_channel() -> None:
    async with calling() as (caller, peer, ear):
        closed = asyncio.Event()
        caller.channel.on("close", closed.set)
        running = asyncio.create_task(peer.run())
        peer.close_channel()
        async with asyncio.timeout(10):
            await closed.wait()
        peer.send("{}")
        before = len(ear.pcm)
        await ear.until(lambda: len(ear.pcm) > before + 4800)
        assert not running.done()
        await peer.drain()
        await peer.close()
        await running


async def test_what_was_sent_last_arrives_before_the_end() -> None:
    async with calling() as (caller, peer, _):
        peer.send('{"type":"last","text":"' + "x" * 200_000 + '"}')
        await peer.drain()
        await peer.close()
        await caller.until("last")
        await caller.closed()


async def test_nobody_waits_for_a_caller_who_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("offhook.media.peer._DRAIN_SECONDS", 0.05)
    async with calling() as (caller, peer, _):
        await caller.channel.transport.transport.transport.stop()
        peer.send("{}")
        await peer.drain()


async def test_who_vanishes_says_nothing() -> None:
    gc.collect()
    before, tasks = descriptors(), asyncio.all_tasks()
    async with calling() as (caller, peer, _):
        running = asyncio.create_task(peer.run())
        await peer.vanish()
        await running
        assert caller.peer.connectionState == "connected"
        assert caller.channel.readyState == "open"
    assert descriptors() == before
    await settled(tasks)


async def test_without_a_channel_there_is_none_to_close() -> None:
    async with Peer(Ear(), nothing) as peer:
        await peer.answer(AUDIO_ONLY)
        peer.close_channel()
        await peer.drain()


async def test_the_call_is_over_when_the_caller_falls_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # aioice asks every five seconds whether there is still somebody, six times.
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.02)
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.01)
    async with calling() as (caller, peer, _):
        # As when the cable is pulled: no goodbye on any layer above.
        await caller.channel.transport.transport.transport.stop()
        await over(peer)


async def test_the_call_is_over_when_the_caller_breaks_the_protocol() -> None:
    class Broken(str):
        def encode(self, *_: object) -> bytes:
            return b"\xff"

    async with calling() as (caller, peer, ear):
        caller.channel.send(Broken("not UTF-8, and said to be text"))
        await over(peer)
        assert ear.messages == []


async def test_a_caller_who_is_another_than_it_said_is_not_connected() -> None:
    caller, ear = Caller(), Ear()
    async with Peer(ear, nothing) as peer:
        changed = re.sub("sha-256 ..", "sha-256 00", await offer(caller))
        changed = re.sub("sha-(384|512) ..", r"sha-\1 00", changed)
        answer = await peer.answer(changed)
        remote = RTCSessionDescription(answer, "answer")
        await caller.peer.setRemoteDescription(remote)
        await over(peer)
        await caller.close()
    assert (ear.openings, ear.pcm) == (0, b"")


async def test_everything_is_passed_on_as_it_came() -> None:
    async with calling() as (caller, _, ear):
        sent: list[str | bytes] = [
            "",
            "{",
            "\0",
            b"",
            b"\xff\xfe",
            "é" * 1000,
            "x" * 200_000,
        ]
        for message in sent:
            caller.channel.send(message)
        await ear.until(lambda: len(ear.messages) == len(sent))
        assert ear.messages == sent


async def test_only_the_first_channel_counts() -> None:
    async with calling() as (caller, peer, ear):
        second = caller.peer.createDataChannel("another")
        opened = asyncio.Event()
        second.on("open", opened.set)
        await opened.wait()
        second.send("on the second")
        caller.channel.send("on the first")
        await ear.until(lambda: ear.messages)
        peer.send('{"type":"back"}')
        await caller.until("back")
        assert (ear.messages, ear.openings) == (["on the first"], 1)


async def test_an_event_that_cannot_be_sent_is_dropped_and_the_call_goes_on() -> None:
    async with calling() as (caller, peer, _):
        peer.send("x" * (2**20))
        peer.send("\ud800")
        peer.send('{"type":"next"}')
        await caller.until("next")
        await peer.close()
        peer.send('{"type":"too late"}')


async def close_twice(peer: Peer) -> None:
    await peer.close()
    await peer.close()


async def close_together(peer: Peer) -> None:
    await asyncio.gather(peer.close(), peer.close())


async def close_after_a_cancelled_close(peer: Peer) -> None:
    first = asyncio.create_task(peer.close())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await peer.close()


@pytest.mark.parametrize(
    "close", [close_twice, close_together, close_after_a_cancelled_close]
)
async def test_closing_again_is_closing(
    close: Callable[[Peer], Coroutine[Any, Any, None]],
) -> None:
    before = asyncio.all_tasks()
    async with calling() as (caller, peer, _):
        async with asyncio.timeout(10):
            await close(peer)
        await over(peer)
        await caller.closed()
    await settled(before)


async def test_a_peer_that_was_never_used_can_be_closed() -> None:
    async with Peer(Ear(), nothing) as peer:
        pass
    await over(peer)


async def test_cancelling_a_call_closes_it() -> None:
    async with calling() as (caller, peer, _):

        async def hold() -> None:
            async with peer:
                await peer.run()

        held = asyncio.create_task(hold())
        await asyncio.sleep(0)
        held.cancel()
        with pytest.raises(asyncio.CancelledError):
            await held
        await caller.closed()
