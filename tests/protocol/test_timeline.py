from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.audio import opus
from offhook.protocol.rtp import CLOCK_RATE, Packet, Stream, parse
from offhook.protocol.timeline import Timeline
from tests.protocol.sources import Sent, network, recorded, send

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# Of 10, 20, 40 and 60 ms, for speech.
TOCS = {10: 0x40, 20: 0x48, 40: 0x50, 60: 0x58}
TAG = 9


def tagged(ms: int = 20) -> Callable[[int], bytes]:
    """Payloads that can be told from each other, some of them quiet."""
    rng = random.Random(ms)

    def payload(index: int) -> bytes:
        size = 20 if index % 150 > 100 else rng.randrange(50, 90)
        return bytes((TOCS[ms],)) + index.to_bytes(8, "big") + bytes(size)

    return payload


def places(payloads: list[bytes]) -> dict[int, float]:
    """When each tagged payload is heard."""
    found, at = {}, 0
    for payload in payloads:
        if len(payload) > 2 * TAG:
            found[int.from_bytes(payload[1:TAG], "big")] = at / CLOCK_RATE
        at += opus.duration(payload)
    return found


def errors_ms(
    sent: list[Sent], payloads: list[bytes], missing: int = 0
) -> NDArray[np.float64]:
    """How far packets are from their time; all but so many have to be there."""
    found = places(payloads)
    assert len(sent) - len(found) <= missing
    assert sorted(found) == list(found)
    times = [(found[s.number] - s.said) * 1000 for s in sent if s.number in found]
    return np.array(times)


def made_up(payload: bytes) -> bool:
    return len(payload) == 1


def silent(payload: bytes) -> bool:
    return payload.endswith(b"\xff\xfe")


def test_a_call_without_faults_is_what_was_sent() -> None:
    sent = send(10, tagged())
    timeline, payloads = recorded(sent, 10)
    assert payloads == [one.packet.payload for one in sent]
    assert timeline.length == 10 * CLOCK_RATE
    assert timeline.left_out == 0


@pytest.mark.parametrize("ms", [10, 20, 40, 60])
@pytest.mark.parametrize("live", [True, False])
def test_loss_and_jitter_stay_as_time(ms: int, live: bool) -> None:
    sent = send(60, tagged(ms), ms=ms, live=live, delay=network(ms))
    timeline, payloads = recorded(sent, 60, live=live)
    assert abs(errors_ms(sent, payloads)).max() < 1
    assert timeline.length == 60 * CLOCK_RATE
    assert sum(map(opus.duration, payloads)) == timeline.length


def test_what_comes_out_of_order_is_put_in_order() -> None:
    rng = random.Random(1)
    sent = send(30, tagged(), delay=lambda _: rng.choice((0, 0, 0, 0.07, 0.15, 0.3)))
    _, payloads = recorded(sent, 30)
    assert abs(errors_ms(sent, payloads)).max() < 1


def test_a_lost_frame_is_made_up_and_a_long_loss_is_silence() -> None:
    lost = {50, *range(100, 150)}
    sent = [s for s in send(4, tagged()) if s.number not in lost]
    _, payloads = recorded(sent, 4)
    assert abs(errors_ms(sent, payloads)).max() == 0
    assert payloads[50] == bytes((TOCS[20],))
    assert all(map(made_up, payloads[100:105]))
    assert silent(payloads[105])


def test_a_pause_of_the_source_sounds_like_the_room() -> None:
    talks = tagged()
    sent = send(4, lambda index: b"" if 100 <= index < 120 else talks(index))
    _, payloads = recorded(sent, 4)
    assert all(map(made_up, payloads[100:120]))
    assert not any(map(silent, payloads))


@pytest.mark.parametrize("seconds", [0.04, 0.5, 3, 8])
def test_a_source_that_stood_still_leaves_a_pause(seconds: float) -> None:
    sent = send(40, tagged(), delay=network(3), stalls=[(15.01, seconds)])
    timeline, payloads = recorded(sent, 40)
    assert abs(errors_ms(sent, payloads, missing=1)).max() < 5
    assert timeline.length / CLOCK_RATE == pytest.approx(40, abs=0.01)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 3, 4.5])
def test_what_the_network_held_up_is_heard_when_it_was_said(seconds: float) -> None:
    usual = network(4)

    def delay(at: float) -> float | None:
        return max(0, 15 + seconds - at) + at * 1e-6 if 15 < at < 20 else usual(at)

    sent = send(40, tagged(), delay=delay)
    _, payloads = recorded(sent, 40)
    assert abs(errors_ms(sent, payloads)).max() < 5


@pytest.mark.parametrize("seconds", [1, 4, 6])
def test_packets_that_catch_up_slowly_were_held_up_by_the_network(
    seconds: float,
) -> None:
    # 3 s, and what is said until they have come.
    def delay(at: float) -> float:
        return max(0.0, 3 * (1 - (at - 15) / (3 + seconds))) if 15 < at else 0.0

    sent = send(40, tagged(), delay=delay)
    _, payloads = recorded(sent, 40)
    assert abs(errors_ms(sent, payloads)).max() < 5


def test_what_comes_after_its_time_is_left_out() -> None:
    def delay(at: float) -> float:
        return 27 - at if 15 < at < 27 else 0.0

    sent = send(40, tagged(), delay=delay)
    timeline, payloads = recorded(sent, 40)
    late = [s for s in sent if s.said < 21 and s.came == 27]
    assert 0 < timeline.left_out <= len(late) + 60
    assert abs(errors_ms(sent, payloads, missing=timeline.left_out)).max() < 5


def test_another_source_goes_on_at_its_time() -> None:
    sent = send(
        40,
        tagged(),
        delay=network(6),
        renewed=[10, 20.01, 30],
        stalls=[(10, 2.345), (30, 0.2)],
    )
    timeline, payloads = recorded(sent, 40)
    assert abs(errors_ms(sent, payloads, missing=3)).max() < 6
    assert timeline.length / CLOCK_RATE == pytest.approx(40, abs=0.01)


@pytest.mark.parametrize("hours", [-1, 1])
def test_timestamps_that_leap_are_not_believed(hours: int) -> None:
    sent = send(20, tagged(), delay=network(7))
    leapt = [
        s._replace(
            packet=s.packet._replace(
                timestamp=(s.packet.timestamp + hours * 3600 * CLOCK_RATE) % 2**32
            )
        )
        if s.said > 10
        else s
        for s in sent
    ]
    timeline, payloads = recorded(leapt, 20)
    assert abs(errors_ms(sent, payloads, missing=2)).max() < 6
    assert timeline.length == 20 * CLOCK_RATE


def test_a_mute_is_silence_while_it_lasts() -> None:
    sent = send(5, tagged())
    timeline = Timeline(0.0, live=True)
    for one in sent:
        timeline.put(one.packet, one.came)
    timeline.advance(5.5)
    payloads = timeline.advance(60)
    assert timeline.length == 55 * CLOCK_RATE
    assert all(map(made_up, payloads[:5]))
    assert all(map(silent, payloads[5:]))


@pytest.mark.parametrize("ppm", [-300, -50, 50, 300])
def test_the_clock_of_a_source_is_followed(ppm: int) -> None:
    sent = send(600, tagged(), drift=ppm / 1e6, delay=network(8))
    timeline, payloads = recorded(sent, 600)
    corrected = abs(ppm) * 600e3 / 1e6 / 3
    errors = errors_ms(sent, payloads, missing=round(corrected))
    assert abs(errors).max() < 8
    assert timeline.length / CLOCK_RATE == pytest.approx(600, abs=0.02)


def test_an_hour_of_everything_keeps_both_sides_together() -> None:
    usual = network(9)

    def delay(at: float) -> float | None:
        return max(0.0, 1802 - at) if 1800 < at < 1802 else usual(at)

    sides = [
        send(
            3600,
            tagged(),
            live=live,
            drift=drift,
            delay=delay,
            stalls=[(600, 3), (2400, 18)],
            renewed=[1200.01],
            silent=lambda at: 3000 < at < 3100,
        )
        for live, drift in ((True, 50e-6), (False, -50e-6))
    ]
    lengths = set()
    for sent, live in zip(sides, (True, False), strict=True):
        timeline, payloads = recorded(sent, 3600, live=live)
        payloads += timeline.pad(3601 * CLOCK_RATE)
        assert abs(errors_ms(sent, payloads, missing=200)).max() < 8
        lengths.add(timeline.length)
    assert lengths == {3601 * CLOCK_RATE}


def test_where_it_is_quiet_the_clock_is_put_right() -> None:
    sent = send(600, tagged(), drift=50e-6)
    _, payloads = recorded(sent, 600)
    found = places(payloads)
    lost = {one.number for one in sent} - found.keys()
    assert lost
    assert all(index % 150 > 100 for index in lost)


def test_a_flood_is_bounded() -> None:
    timeline = Timeline(0.0, live=True)
    for number in range(5000):
        packet = Packet(111, False, number & 0xFFFF, 960 * number, 1, b"\x48" * 40)
        timeline.put(packet, 0.1)
    assert timeline.left_out == 4000


def test_a_packet_that_comes_twice_is_heard_once() -> None:
    sent = send(2, tagged())
    twice = [again for one in sent for again in (one, one)]
    _, payloads = recorded(twice, 2)
    assert payloads == [one.packet.payload for one in sent]


def test_what_is_no_opus_is_left_out() -> None:
    timeline = Timeline(0.0, live=True)
    timeline.put(Packet(111, False, 1, 2, 3, b"\xff\x3f"), 0.1)
    assert timeline.end() == []
    assert timeline.left_out == 1


packets = st.builds(
    Packet,
    st.just(111),
    st.booleans(),
    st.integers(0, 2**16 - 1) | st.integers(0, 20),
    st.integers(0, 2**32 - 1) | st.integers(0, 20).map(lambda n: 960 * n),
    st.integers(0, 2),
    st.binary(min_size=1, max_size=20),
)


@given(
    st.lists(st.tuples(st.floats(0, 0.5), packets | st.none()), max_size=60),
    st.booleans(),
)
def test_whatever_comes_time_goes_on_evenly(
    came: list[tuple[float, Packet | None]], live: bool
) -> None:
    timeline, payloads, now = Timeline(0.0, live=live), list[bytes](), 0.0
    for passed, packet in came:
        now += passed
        if packet:
            timeline.put(packet, now)
        else:
            payloads += timeline.advance(now)
        longest = 0 if live else 0.12
        assert timeline.length / CLOCK_RATE <= now + longest + 0.02
    payloads += timeline.end()
    payloads += timeline.pad(timeline.at(now + 1))
    assert sum(map(opus.duration, payloads)) == timeline.length
    assert abs(timeline.length - timeline.at(now + 1)) < 120 + 1
    assert all(map(opus.duration, payloads))


@given(
    st.integers(0, 2**32),
    st.sampled_from([10, 20, 40, 60]),
    st.booleans(),
    st.floats(0.0, 0.012),
    st.floats(0.0, 0.2),
    st.floats(-300e-6, 300e-6),
    st.lists(st.tuples(st.floats(3, 25), st.floats(0.015, 6)), max_size=2),
    st.lists(st.floats(3, 25), max_size=2),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_whatever_happens_a_packet_is_heard_when_it_was_said(
    seed: int,
    ms: int,
    live: bool,
    jitter: float,
    loss: float,
    drift: float,
    stalls: list[tuple[float, float]],
    renewed: list[float],
) -> None:
    sent = send(
        30,
        tagged(ms),
        ms=ms,
        live=live,
        delay=network(seed, jitter=jitter + 1e-6, loss=loss),
        drift=drift,
        stalls=stalls,
        renewed=renewed,
    )
    timeline, payloads = recorded(sent, 30, live=live)
    errors = errors_ms(sent, payloads, missing=timeline.left_out)
    assert timeline.left_out < 0.02 * len(sent) + 5
    # Where a source begins or stands still, few packets tell how late they all are.
    beginnings = 1 + len(stalls) + len(renewed)
    assert (abs(errors) >= 10).sum() <= 10 * beginnings


def test_what_our_own_stream_sends_is_heard_when_it_was_sent() -> None:
    # A model that speaks, sounds and pauses: its pauses are rounded to whole frames.
    rng, stream, sent = random.Random(2), Stream(7, 111, 100, 9600), list[Sent]()
    payload, at = tagged(), 0.0
    for _ in range(200):
        at += rng.uniform(0.03, 1.5)
        for _ in range(rng.randrange(5, 100)):
            packet = parse(stream.emit(payload(len(sent)), at))
            assert packet
            sent.append(Sent(len(sent), at, at, packet))
            at += 0.02
        stream.leave()
    timeline, payloads = recorded(sent, at, live=False)
    errors = errors_ms(sent, payloads, missing=timeline.left_out)
    assert timeline.left_out < 0.02 * len(sent)
    assert abs(errors).max() < 10
