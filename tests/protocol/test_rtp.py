from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from offhook.protocol.rtp import FRAME, Packet, Stream, ahead, later, parse

FRAME_S = 0.02


def packet(
    number: int,
    ssrc: int = 7,
    *,
    marker: bool = False,
    timestamp: int | None = None,
    payload: bytes = b"",
) -> Packet:
    """The packet of a source that began at sequence number and timestamp 0."""
    if timestamp is None:
        timestamp = number * FRAME
    return Packet(
        111,
        marker,
        number & 0xFFFF,
        timestamp & 0xFFFFFFFF,
        ssrc,
        payload or f"{ssrc}/{number}".encode(),
    )


def stream() -> Stream:
    return Stream(99, 96, sequence_number=1000, timestamp=50_000)


def followed(to: Stream, *packets: Packet, now: float = 0.0) -> list[Packet]:
    """What is made of packets that come every 20 ms."""
    out = [to.follow(p, now + at * FRAME_S) for at, p in enumerate(packets)]
    return [read(data) for data in out if data is not None]


def read(data: bytes) -> Packet:
    found = parse(data)
    assert found
    return found


@pytest.mark.parametrize("extension", [False, True])
@pytest.mark.parametrize("contributors", [0, 2])
@pytest.mark.parametrize("padding", [0, 5])
def test_only_the_payload_of_a_packet_is_kept(
    extension: bool, contributors: int, padding: int
) -> None:
    whole = RtpPacket(111, 1, 65535, 2**32 - 1, 2**32 - 1, b"opus")
    whole.csrc = list(range(contributors))
    whole.padding_size = padding
    data = whole.serialize()
    if extension:
        at = 12 + 4 * contributors
        block = struct.pack(">HH", 0xBEDE, 2) + b"\x10a\x00\x00" * 2
        data = bytes([data[0] | 0x10]) + data[1:at] + block + data[at:]
    assert parse(data) == Packet(111, True, 65535, 2**32 - 1, 2**32 - 1, b"opus")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x80" + bytes(11),
        b"\x80" + bytes(10),
        b"\x40" + bytes(20),
        b"\xc0" + bytes(20),
        b"\x8f" + bytes(20),  # 15 contributing sources
        b"\x90" + bytes(14),  # half of an extension's header
        b"\x90" + bytes(13) + b"\xff\xff" + bytes(20),  # one that is too long
        b"\xa0" + bytes(20),  # a padding of nothing
        b"\xa0" + bytes(19) + b"\xff",  # more padding than there is
        b"\xa0" + bytes(19) + b"\x09",  # nothing but padding
    ],
)
def test_a_malformed_packet_is_none(data: bytes) -> None:
    assert parse(data) is None


@given(st.binary(max_size=60), st.integers(0x80, 0xBF))
def test_no_datagram_makes_the_parser_fail(data: bytes, first: int) -> None:
    found = parse(bytes([first]) + data)
    assert found is None or (found.payload and found.payload in data)


@pytest.mark.parametrize(
    ("value", "other", "step"),
    [(5, 3, 2), (3, 5, -2), (1, 65535, 2), (65535, 1, -2), (0, 32768, -32768)],
)
def test_sequence_numbers_wrap(value: int, other: int, step: int) -> None:
    assert ahead(value, other) == step


@pytest.mark.parametrize(
    ("value", "other", "step"), [(960, 0, 960), (0, 2**32 - 960, 960), (0, 1, -1)]
)
def test_timestamps_wrap(value: int, other: int, step: int) -> None:
    assert later(value, other) == step


def test_a_source_is_passed_on_with_our_numbers() -> None:
    first, second = followed(stream(), packet(65535), packet(65536))
    assert first == Packet(96, True, 1000, 50_000, 99, b"7/65535")
    assert second == Packet(96, False, 1001, 50_960, 99, b"7/65536")


def test_its_losses_pauses_markers_and_its_order_are_passed_on() -> None:
    source = [
        packet(0),
        packet(3),
        packet(2),
        packet(4, timestamp=500 * FRAME, marker=True),
    ]
    out = followed(stream(), *source)
    assert [p.sequence_number - 1000 for p in out] == [0, 3, 2, 4]
    assert [(p.timestamp - 50_000) // FRAME for p in out] == [0, 3, 2, 500]
    assert [p.marker for p in out] == [True, False, False, True]
    assert [p.payload for p in out] == [p.payload for p in source]


def test_numbers_that_wrap_are_no_break() -> None:
    source = [
        packet(n, timestamp=n * FRAME - 2**32 - 1000) for n in range(65000, 66200)
    ]
    out = followed(stream(), *source)
    assert [p.marker for p in out] == [True] + [False] * 1199
    for one, next_ in pairwise(out):
        assert ahead(next_.sequence_number, one.sequence_number) == 1
        assert later(next_.timestamp, one.timestamp) == FRAME


def test_a_late_packet_is_passed_on_after_any_number_of_others() -> None:
    to = stream()
    followed(to, *(packet(n) for n in range(40_000) if n != 39_990))
    (late,) = followed(to, packet(39_990))
    assert late.sequence_number == 40_990
    assert late.payload == b"7/39990"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(packet(500, ssrc=8), id="another source"),
        pytest.param(packet(9000), id="a leap of its numbers"),
        pytest.param(packet(20 - 200), id="a leap back"),
        pytest.param(packet(20, timestamp=10 * FRAME), id="time that goes back"),
        pytest.param(packet(20, timestamp=2**31), id="time that leaps"),
    ],
)
def test_what_follows_a_break_is_joined_to_what_was(other: Packet) -> None:
    out = followed(stream(), *(packet(n) for n in range(20)), other)
    assert out[-1].sequence_number == 1020
    assert out[-1].timestamp == 50_000 + 20 * FRAME
    assert out[-1].marker
    assert out[-1].payload == other.payload


@pytest.mark.parametrize(("seconds", "frames"), [(0.001, 1), (0.028, 1), (1.0, 50)])
def test_a_break_takes_as_long_as_it_took(seconds: float, frames: int) -> None:
    to = stream()
    followed(to, packet(0))
    (after,) = followed(to, packet(300, ssrc=8), now=seconds)
    assert after.timestamp == 50_000 + frames * FRAME


def test_what_is_older_than_a_switch_is_not_passed_on() -> None:
    to = stream()
    followed(to, packet(10))
    to.emit(b"announcement", 0.02)
    assert len(followed(to, packet(11), now=0.04)) == 1
    # It would get a number that the announcement has.
    assert followed(to, packet(9), now=0.06) == []
    assert len(followed(to, packet(12), now=0.08)) == 1


def test_our_own_packets_go_on_where_a_source_was() -> None:
    to = stream()
    followed(to, packet(0), packet(1))
    own = [read(to.emit(b"x", 0.04 + n * FRAME_S)) for n in range(3)]
    assert [p.sequence_number for p in own] == [1002, 1003, 1004]
    assert [p.timestamp for p in own] == [50_000 + n * FRAME for n in (2, 3, 4)]
    assert [p.marker for p in own] == [True, False, False]
    (back,) = followed(to, packet(2), now=0.1)
    assert (back.sequence_number, back.marker) == (1005, True)
    assert back.timestamp == to.timestamp == 50_000 + 5 * FRAME


def test_what_is_sent_after_leaving_begins_something() -> None:
    to = stream()
    followed(to, packet(0))
    to.leave()
    (again,) = followed(to, packet(1), now=0.02)
    assert again.marker
    read(to.emit(b"x", 0.04))
    to.leave()
    assert read(to.emit(b"x", 1.04)).timestamp == 50_000 + 52 * FRAME


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["follow", "emit", "leave"]),
            st.integers(0, 3),
            st.integers(0, 65535),
            st.integers(0, 2**32 - 1),
        ),
        max_size=60,
    )
)
def test_no_number_is_used_twice(
    steps: list[tuple[str, int, int, int]],
) -> None:
    """SRTP would give two packets the same keystream."""
    to, sent, seen = stream(), [], set()
    for at, (step, ssrc, number, timestamp) in enumerate(steps):
        if step == "emit":
            sent.append(to.emit(b"x", at * FRAME_S))
        elif step == "leave":
            to.leave()
        elif (ssrc, number) not in seen:  # SRTP drops repeats
            seen.add((ssrc, number))
            made = to.follow(packet(number, ssrc, timestamp=timestamp), at * FRAME_S)
            sent += [made] if made else []
    numbers = [read(data).sequence_number for data in sent]
    assert len(set(numbers)) == len(numbers)
