from __future__ import annotations

import numpy as np
import pytest

from offhook.media.reception import Reception
from offhook.protocol.rtp import Packet
from tests.media.opus import encoded, loudness, tone

SPEECH = 440.0


def packets(payloads: list[bytes], ms: int = 20) -> list[Packet]:
    return [
        Packet(111, False, at & 0xFFFF, 48 * ms * at, 7, payload)
        for at, payload in enumerate(payloads)
    ]


def put(reception: Reception, come: list[Packet]) -> bytes:
    """What is made of packets."""
    return b"".join(map(reception.put, come))


def loud(pcm: bytes, hertz: float = SPEECH) -> float:
    return loudness(np.frombuffer(pcm, "<i2"), hertz)


@pytest.mark.parametrize("ms", [10, 20, 60])
def test_what_comes_is_given_at_once(ms: int) -> None:
    reception = Reception()
    for packet in packets(encoded(tone(SPEECH, 0.6), ms=ms), ms):
        pcm = reception.put(packet)
        assert len(pcm) == 48 * ms
    assert loud(pcm) > 0.2


def test_lost_packets_are_made_up() -> None:
    come = packets(encoded(tone(SPEECH, 1)))
    lost = {10, 25, 26, 40}
    pcm = put(Reception(), [p for at, p in enumerate(come) if at not in lost])
    assert len(pcm) == 48000
    for at in lost:
        assert loud(pcm[960 * at : 960 * (at + 1)]) > 0.15


def test_order_is_put_right_once_it_is_known_to_be_wrong() -> None:
    come = packets(encoded(tone(SPEECH, 1)))
    come[10], come[11] = come[11], come[10]
    come[30], come[31] = come[31], come[30]
    reception = Reception()
    pcm = put(reception, come[:30])
    assert len(pcm) == 960 * 30
    # By now it waits for what may be late.
    assert reception.put(come[30]) == b""
    assert len(reception.put(come[31])) == 2 * 960


def test_time_goes_on_without_packets() -> None:
    come = packets(encoded(tone(SPEECH, 1)))
    reception = Reception()
    put(reception, come[:10])
    made_up = b"".join(reception.fill() for _ in range(20))
    assert len(made_up) == 20 * 960
    assert loud(made_up[:960]) > 0.1
    assert not any(made_up[6 * 960 :])
    # What was only late is heard nevertheless.
    pcm = put(reception, come[10:])
    assert len(pcm) == 40 * 960
    assert loud(pcm[-9600:]) > 0.2


def test_a_pause_of_the_source_lasts_as_long_here() -> None:
    """A sender that sends nothing in silence jumps in its timestamps."""
    spoken = packets(encoded(tone(SPEECH, 0.4)))
    later = [p._replace(timestamp=p.timestamp + 48 * 80) for p in spoken[10:]]
    pcm = put(Reception(), [*spoken[:10], *later])
    assert len(pcm) == 960 * 24


def test_what_was_before_is_not_given_but_known() -> None:
    come = packets(encoded(tone(SPEECH, 0.4)))
    fresh, primed = Reception(), Reception()
    for packet in come[:10]:
        primed.prime(packet.payload)
    first = put(fresh, come[10:11]), put(primed, come[10:11])
    assert loud(first[1][:240]) > 0.2 > loud(first[0][:240]) + 0.05


@pytest.mark.parametrize("payload", [b"\xff\xff", b"\x03", b"\x00" * 1275])
def test_malformed_packets_count_as_lost(payload: bytes) -> None:
    come = packets(encoded(tone(SPEECH, 0.6)))
    come[10] = come[10]._replace(payload=payload)
    pcm = put(Reception(), come)
    assert len(pcm) == 960 * 30
    assert loud(pcm[-4800:]) > 0.2
