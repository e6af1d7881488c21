from __future__ import annotations

import asyncio
import gc
import os
import struct
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    rtcrtpsender,
)
from aiortc.rtp import RtcpByePacket, RtcpRrPacket, RtcpSdesPacket, RtcpSrPacket

from offhook.errors import InvalidRequest, ServerError
from offhook.media.bypass import RtpPath
from offhook.media.leg import Leg, couple
from offhook.media.sounds import Sound
from offhook.protocol.rtp import FRAME, Packet, ahead, later
from tests.caller import Caller, Microphone
from tests.media.calls import Call
from tests.media.legs import Far, answer_to_report, answered, far_end
from tests.media.opus import decoded, encoded, loudness, tone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio

SPEECH = encoded(tone(440, 1))
CALLS = int(os.environ.get("CALLS", "5"))
HUM = Sound(tone(1200, 1, 0.1))


@asynccontextmanager
async def bridged() -> AsyncIterator[tuple[Far, Leg, Leg, Far]]:
    """A far end, its leg, and another leg with its far end."""
    async with (
        far_end() as (caller, near),
        far_end() as (model, other),
        Leg(near) as one,
        Leg(other) as two,
    ):
        couple(one, two)
        yield caller, one, two, model


def check_unbroken(heard: list[Packet]) -> None:
    """Judge that a stream has no gap, no repeat and no jump."""
    assert len({packet.ssrc for packet in heard}) == 1
    for one, two in pairwise(heard):
        assert ahead(two.sequence_number, one.sequence_number) == 1
        step = later(two.timestamp, one.timestamp)
        # Where something begins, as much time has passed as has passed.
        assert step == FRAME or (two.marker and step in range(FRAME, 50 * FRAME, FRAME))


async def sent(leg: Leg, count: int) -> None:
    """Wait until so many packets have been sent to a leg."""
    packets: list[Packet] = []
    enough = asyncio.Event()

    def hear(packet: Packet, now: float) -> None:
        packets.append(packet)
        if len(packets) == count:
            enough.set()

    leg.tap_heard(hear)
    async with asyncio.timeout(10):
        await enough.wait()


async def test_two_callers_hear_each_other() -> None:
    one, two = Caller(), Caller()
    async with AsyncExitStack() as stack:
        legs = []
        for caller in (one, two):
            peer = await answered(caller.peer)
            stack.push_async_callback(peer.close)
            stack.push_async_callback(caller.close)
            legs.append(await stack.enter_async_context(Leg.of(peer)))
        couple(*legs)
        one.microphone.say(tone(440, 1))
        two.microphone.say(tone(660, 1))
        await asyncio.gather(*(sent(leg, 70) for leg in legs))
        statistics = await legs[0].statistics()
    for caller, hertz in ((one, 660), (two, 440)):
        heard = np.frombuffer(bytes(caller.heard), "<i2")[::2]
        begin = int(np.argmax(np.abs(heard) > 2000))
        assert loudness(heard[begin + 2400 : begin + 14400], hertz) > 0.15
    assert statistics.packets_received >= 65
    assert statistics.packets_sent >= 65
    assert (statistics.packets_lost, statistics.dropped) == (0, 0)
    assert statistics.jitter_s < 0.1


async def test_packets_pass_as_they_came() -> None:
    async with bridged() as (caller, _, _, model):
        for number, payload in enumerate(SPEECH):
            caller.say(payload)
            model.say(b"%d" % number)
        await model.until(lambda: len(model.heard) == 50)
        await caller.until(lambda: len(caller.heard) == 50)
        assert model.payloads == SPEECH
        assert caller.payloads == [b"%d" % number for number in range(50)]
        check_unbroken(model.heard)
        assert [packet.marker for packet in model.heard] == [True] + [False] * 49
        assert {p.ssrc for p in model.heard}.isdisjoint(p.ssrc for p in caller.heard)


async def test_nothing_is_decoded_and_no_task_is_made() -> None:
    async with bridged() as (caller, one, _, model):
        assert isinstance(one.path, RtpPath)
        before = asyncio.all_tasks()
        for payload in SPEECH:
            caller.say(payload)
        await model.until(lambda: len(model.heard) == 50)
        assert asyncio.all_tasks() == before
        track: Any = one.path.transceiver.receiver.track
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await track.recv()


async def test_the_far_end_is_told_what_came_and_what_was_lost() -> None:
    async with bridged() as (caller, one, _, model):
        for payload in SPEECH[:20]:
            caller.say(payload)
        for payload in SPEECH[20:25]:
            caller.stream.emit(payload, 0.0)  # lost on the way
        for payload in SPEECH[25:]:
            caller.say(payload)
        await model.until(lambda: len(model.heard) == 45)

        def reported() -> list[Any]:
            reports = [
                r for p in caller.rtcp if isinstance(p, RtcpRrPacket) for r in p.reports
            ]
            return [r for r in reports if r.packets_lost == 5]

        await caller.until(reported)
        assert reported()[-1].ssrc == caller.path.ssrc
        statistics = await one.statistics()
        assert (statistics.packets_received, statistics.packets_lost) == (45, 5)
        # The model was sent the same hole.
        numbers = [packet.sequence_number for packet in model.heard]
        assert ahead(numbers[20], numbers[19]) == 6


async def test_our_reports_are_of_what_we_sent() -> None:
    async with bridged() as (caller, _, two, model):
        assert isinstance(two.path, RtpPath)
        answer = answer_to_report(two.path.transceiver)
        for payload in SPEECH:
            caller.say(payload)
        await model.until(lambda: len(model.heard) == 50)

        def reported() -> list[Any]:
            found = [p for p in model.rtcp if isinstance(p, RtcpSrPacket)]
            return [p for p in found if p.sender_info.packet_count == 50]

        await model.until(reported)
        report = reported()[-1]
        assert report.ssrc == model.heard[0].ssrc
        assert report.sender_info.octet_count == sum(map(len, SPEECH))
        assert report.sender_info.rtp_timestamp == model.heard[-1].timestamp
        since_1900 = report.sender_info.ntp_timestamp / 2**32
        assert since_1900 - 2208988800 == pytest.approx(time.time(), abs=5)
        names = [
            c for p in model.rtcp if isinstance(p, RtcpSdesPacket) for c in p.chunks
        ]
        assert names[-1].ssrc == report.ssrc
        assert names[-1].items[0][0] == 1  # a CNAME
        await answer
        statistics = await two.statistics()
        assert statistics.round_trip_s is not None
        assert statistics.packets_missed == 0
        assert 0 <= statistics.round_trip_s < 1


async def test_the_far_end_is_told_the_end() -> None:
    async with bridged() as (caller, _, two, model):
        caller.say(SPEECH[0])
        await model.until(lambda: model.heard)
        assert isinstance(two.path, RtpPath)
        await two.path.transceiver.stop()
        await model.until(
            lambda: [p for p in model.rtcp if isinstance(p, RtcpByePacket)]
        )


async def test_an_announcement_is_heard_instead_of_the_other() -> None:
    announcement = Sound(tone(800, 0.2))
    async with bridged() as (caller, _, two, model):
        talking = asyncio.create_task(caller.say_all(SPEECH))
        await model.until(lambda: len(model.heard) >= 5)
        playback = two.play(announcement)
        await playback.ended()
        await talking
        await model.until(lambda: len(model.heard) >= 35)
        own = [p for p in model.heard if p.payload in announcement.packets]
        assert [p.payload for p in own] == list(announcement.packets)
        begin = model.heard.index(own[0])
        assert model.heard[begin : begin + 10] == own
        assert own[0].marker
        back = model.heard[begin + 10]
        assert back.marker and back.payload in SPEECH
        numbers = [packet.sequence_number for packet in model.heard]
        assert numbers == [(numbers[0] + n) & 0xFFFF for n in range(len(numbers))]
        for one, other in pairwise(model.heard):
            assert 0 < later(other.timestamp, one.timestamp) <= 3 * FRAME
        assert loudness(decoded(p.payload for p in own)[960:], 800) > 0.2


async def test_who_waits_alone_hears_music_until_it_is_stopped() -> None:
    async with far_end() as (caller, near), Leg(near) as leg:
        playback = leg.play(Sound(tone(800, 0.06)), loop=True)
        await caller.until(lambda: len(caller.heard) >= 10)
        playback.stop()
        await playback.ended()
        count = len(caller.heard)
        check_unbroken(caller.heard)
        leg.follow(leg)
        caller.say(SPEECH[0])
        await caller.until(lambda: caller.payloads[-1] == SPEECH[0])
        assert len(caller.heard) <= count + 2


async def test_what_is_said_meanwhile_is_heard_after() -> None:
    """A greeting must not swallow the first words of an answer."""
    async with bridged() as (caller, _, two, model):
        playback = two.play(HUM)
        await caller.say_all(SPEECH[:20])
        await playback.ended()
        await caller.say_all([*SPEECH[20:30], *encoded(bytes(48000))])
        await model.until(lambda: all(p in model.payloads for p in SPEECH[:30]))
        said = [payload for payload in model.payloads if payload in SPEECH]
        assert said == SPEECH[:30]
        check_unbroken(model.heard)


async def test_what_was_taken_back_meanwhile_is_not_heard() -> None:
    async with bridged() as (caller, _, two, model):
        playback = two.play(HUM)
        await caller.say_all(SPEECH[:5])
        two.forget()
        await playback.ended()
        caller.say(SPEECH[40])
        await model.until(lambda: SPEECH[40] in model.payloads)
        assert [p for p in model.payloads if p in SPEECH] == [SPEECH[40]]


async def test_a_sound_under_speech_is_heard_with_it() -> None:
    async with bridged() as (caller, _, two, model):
        await caller.say_all(SPEECH[:5])
        playback = two.play(HUM, under_speech=True, loop=True, duck_db=0)
        await caller.say_all(SPEECH[5:35])
        await model.until(lambda: len(model.heard) >= 35)
        check_unbroken(model.heard)
        heard = decoded(model.payloads)[480 * 10 :]
        assert loudness(heard, 440) == pytest.approx(0.25, rel=0.1)
        assert loudness(heard, 1200) == pytest.approx(0.1, rel=0.1)
        playback.stop()
        await caller.say_all(encoded(bytes(19200)))
        await playback.ended()
        # From now on packets pass as they came.
        caller.say(SPEECH[40])
        await model.until(lambda: model.payloads[-1] == SPEECH[40])


async def test_one_sound_alone_ends_another_and_what_is_under_speech_goes_on() -> None:
    async with far_end() as (caller, near), Leg(near) as leg:
        under = leg.play(HUM, under_speech=True, loop=True)
        first = leg.play(HUM, loop=True)
        second = leg.play(Sound(tone(800, 0.1)))
        await first.ended()
        first.stop()
        await second.ended()
        heard = len(caller.heard)
        await caller.until(lambda: len(caller.heard) >= heard + 20)
        both = decoded(caller.payloads[: heard - 2])
        assert loudness(decoded(caller.payloads[heard + 5 :]), 1200) > 0.05
        assert loudness(both[-1200:], 1200) < 0.01
        check_unbroken(caller.heard)
        under.stop()
        await under.ended()


@pytest.mark.parametrize("under_speech", [False, True])
async def test_any_track_can_be_played_and_is_stopped_after(under_speech: bool) -> None:
    made: list[Microphone] = []

    def make() -> MediaStreamTrack:
        made.append(Microphone())
        made[0].say(tone(800, 5))
        return made[0]

    async with far_end() as (caller, near), Leg(near) as leg:
        playback = leg.play(make, under_speech=under_speech)
        await caller.until(lambda: len(caller.heard) >= 25)
        playback.stop()
        await playback.ended()
    assert loudness(decoded(caller.payloads)[4800:], 800) > 0.2
    assert made[0].readyState == "ended"


async def test_a_leg_that_is_left_ends_what_it_plays() -> None:
    made: list[Microphone] = []

    def make() -> MediaStreamTrack:
        made.append(Microphone())
        return made[0]

    async with far_end() as (caller, near):
        tasks = asyncio.all_tasks()
        async with Leg(near) as leg:
            playback = leg.play(make)
            await caller.until(lambda: caller.heard)
        await playback.ended()
        assert made[0].readyState == "ended"
        assert asyncio.all_tasks() == tasks
        async with Leg(near) as leg:
            playback = leg.play(HUM, loop=True)
        async with asyncio.timeout(5):
            await playback.ended()


async def test_taps_hear_what_is_said_and_what_is_heard() -> None:
    async with bridged() as (caller, one, two, model):
        said: list[Packet] = []
        heard: list[Packet] = []
        times: list[float] = []

        def hear(packet: Packet, now: float) -> None:
            said.append(packet)
            times.append(now)

        end = one.tap_said(hear)
        two.tap_heard(lambda packet, now: heard.append(packet))
        for payload in SPEECH[:5]:
            caller.say(payload)
        await model.until(lambda: len(model.heard) == 5)
        await two.play(Sound(tone(800, 0.04))).ended()
        end()
        caller.say(SPEECH[5])
        await model.until(lambda: len(model.heard) == 8)
        assert [packet.payload for packet in said] == SPEECH[:5]
        assert {packet.ssrc for packet in said} == {caller.path.ssrc}
        assert said[0].sequence_number == 100
        assert heard == model.heard
        assert times == sorted(times)
        assert asyncio.get_running_loop().time() - times[-1] < 5


async def test_a_tap_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def fail(packet: Packet, now: float) -> None:
        raise ValueError("full")

    async with bridged() as (caller, one, two, model):
        one.tap_said(fail)
        two.tap_heard(fail)
        for payload in SPEECH[:5]:
            caller.say(payload)
        await model.until(lambda: len(model.heard) == 5)
    assert caplog.text.count("a tap failed") == 2


async def test_who_follows_nobody_hears_nothing() -> None:
    async with bridged() as (caller, _, two, model):
        caller.say(SPEECH[0])
        await model.until(lambda: model.heard)
        two.follow(None)
        caller.say(SPEECH[1])
        two.play(Sound(tone(800, 0.02)))
        await model.until(lambda: len(model.heard) == 2)
        assert model.payloads[1] not in SPEECH


async def test_a_leg_goes_on_when_the_other_is_gone() -> None:
    async with far_end() as (caller, near), Leg(near) as one:
        async with far_end() as (model, other), Leg(other) as two:
            couple(one, two)
            caller.say(SPEECH[0])
            await model.until(lambda: model.heard)
            await model.peer.close()
            caller.say(SPEECH[1])
            two.play(HUM)
            one.play(Sound(tone(800, 0.02)))
            await caller.until(lambda: caller.heard)
        caller.say(SPEECH[2])
        await one.play(Sound(tone(800, 0.02))).ended()
        one.follow(one)
        caller.say(SPEECH[3])
        await caller.until(lambda: caller.payloads[-1] == SPEECH[3])


def packed(
    payload: bytes, ssrc: int = 1, payload_type: int = 96, number: int = 7
) -> bytes:
    return struct.pack(">BBHII", 0x80, payload_type, number, 7, ssrc) + payload


HOSTILE: dict[str, Callable[[Far], bytes]] = {
    "short": lambda far: b"\x80\x60\x00",
    "header of SRTP": lambda far: packed(b""),
    "not encrypted": lambda far: packed(bytes(100)),
    "oversized": lambda far: packed(bytes(1600)),
    "largest": lambda far: packed(bytes(1488)),
    "nothing in it": lambda far: far.protected(packed(b"")),
    "unknown payload type": lambda far: far.protected(packed(b"x", payload_type=13)),
    "too long to pass on": lambda far: far.protected(packed(bytes(1400))),
    "nothing but padding": lambda far: far.protected(b"\xa0" + packed(b"\xff")[1:]),
    "malformed Opus": lambda far: far.protected(packed(b"\xff\xff")),
    "oversized RTCP": lambda far: b"\x80\xc8" + bytes(1600),
    "short RTCP": lambda far: b"\x80\xc8\x00\x00",
    "malformed RTCP": lambda far: far.protected_rtcp(b"\x81\xc8\x00\x02" + bytes(8)),
}


@pytest.mark.parametrize(
    ("kind", "mixing"),
    [*((kind, False) for kind in HOSTILE), ("malformed Opus", True)],
)
async def test_a_hostile_packet_ends_no_call(kind: str, mixing: bool) -> None:
    async with bridged() as (caller, _, two, model):
        if mixing:
            two.play(HUM, under_speech=True, loop=True)
        caller.throw(HOSTILE[kind](caller))
        for payload in SPEECH[:3]:
            caller.say(payload)
        await model.until(lambda: len(model.heard) >= 3)
        model.say(b"and back")
        await caller.until(lambda: caller.payloads[-1:] == [b"and back"])
        if not mixing:
            assert model.payloads[-3:] == SPEECH[:3]
            assert len(model.heard) == 3 + (kind == "malformed Opus")


async def test_the_number_of_sources_has_a_limit() -> None:
    """For each one libsrtp keeps books for ever."""
    async with bridged() as (caller, one, _, model):
        for ssrc in range(1, 101):
            kind = 96 if ssrc <= 4 else 13 + ssrc % 2 * 83
            caller.throw(caller.protected(packed(b"x", ssrc, kind)))
        caller.throw(caller.protected(packed(b"last", 1, number=8)))
        await model.until(lambda: model.payloads[-1:] == [b"last"])
        # Of the first eight, two were no Opus; they count as well.
        assert len(model.heard) == 6 + 1
        assert (await one.statistics()).dropped == 2 + 92


async def test_a_leg_goes_on_where_aiortc_has_been(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For SRTP a stream that goes back is a replay."""
    monkeypatch.setattr(rtcrtpsender, "random_sequence_number", lambda: 32767)
    caller = RTCPeerConnection(RTCConfiguration([]))
    caller.addTransceiver("audio")
    peer = await answered(caller, Microphone())
    far = Far(caller)
    await far.until(lambda: len(far.heard) >= 3)
    async with Leg.of(peer) as leg:
        await leg.play(HUM).ended()
        await far.until(lambda: far.payloads[-1:] == [HUM.packets[-1]])
    own = next(p for p in far.heard if p.payload == HUM.packets[0])
    before = far.heard[far.heard.index(own) - 1]
    assert 0 < ahead(own.sequence_number, before.sequence_number) <= 16
    assert 0 < later(own.timestamp, before.timestamp) <= 2 * FRAME
    await caller.close()
    await peer.close()


async def test_a_leg_goes_on_where_another_has_been() -> None:
    async with far_end() as (caller, near):
        for _ in range(6):  # by chance it might
            async with Leg(near) as leg:
                leg.follow(leg)
                await leg.play(Sound(tone(800, 0.04))).ended()
        await caller.until(lambda: len(caller.heard) == 12)
        for one, two in pairwise(caller.heard):
            assert 0 < ahead(two.sequence_number, one.sequence_number) <= 16
            assert 0 < later(two.timestamp, one.timestamp) <= 2 * FRAME


async def test_a_hardened_peer_has_a_leg() -> None:
    """Packets come to it through the filter of strangers' datagrams."""
    async with Call() as call, far_end() as (model, other), Leg(other) as two:
        await call.accept(await call.answered())
        await call.open()
        async with Leg.of(call.peer.connection) as one:
            couple(one, two)
            call.caller.microphone.say(tone(440, 1))
            speech = encoded(tone(660, 0.8))
            await asyncio.gather(sent(one, 40), model.say_all(speech))
            await model.until(lambda: len(model.heard) >= 40)
            assert loudness(decoded(model.payloads)[9600:], 440) > 0.15
            # And its events as before.
            await call.echo()
        assert len(call.ear.pcm) < 9600  # what came before is all that was decoded


async def test_a_caller_without_opus_is_told_so() -> None:
    caller = RTCPeerConnection(RTCConfiguration([]))
    transceiver = caller.addTransceiver("audio")
    codecs = RTCRtpSender.getCapabilities("audio").codecs
    transceiver.setCodecPreferences([c for c in codecs if "PCMU" in c.mimeType])
    peer = await answered(caller)
    with pytest.raises(InvalidRequest, match="Opus"):
        Leg.of(peer)
    await caller.close()
    await peer.close()


async def test_a_connection_that_is_not_up_has_no_leg() -> None:
    peer = RTCPeerConnection(RTCConfiguration([]))
    peer.addTransceiver("audio")
    await peer.createOffer()
    with pytest.raises(ServerError, match="up"):
        Leg.of(peer)
    await peer.close()


async def test_call_after_call_leaves_nothing() -> None:
    """Run it with CALLS=200 to be surer."""
    loads = []
    for number in range(CALLS):
        async with bridged() as (caller, one, two, model):
            one.play(HUM, under_speech=True, loop=True)
            two.play(Sound(tone(800, 0.02)))
            model.say(SPEECH[0])
            caller.say(SPEECH[0])
            await model.until(lambda: len(model.heard) >= 1)
        if number > 1:
            gc.collect()
            loads.append(
                (
                    len(os.listdir("/proc/self/fd")),
                    len(asyncio.all_tasks()),
                    threading.active_count(),
                    sum(isinstance(o, Leg) for o in gc.get_objects()),
                )
            )
    assert loads[0] == loads[-1]
