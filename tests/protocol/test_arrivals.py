from __future__ import annotations

import random

import pytest

from offhook.protocol.arrivals import Arrivals
from offhook.protocol.rtp import FRAME, Packet


def packet(number: int, ssrc: int = 7) -> Packet:
    return Packet(111, False, number & 0xFFFF, number * FRAME, ssrc, b"x")


def numbers(found: list[Packet | None]) -> list[int | None]:
    return [p.sequence_number if p else None for p in found]


def after(*come: int) -> tuple[Arrivals, list[list[int | None]]]:
    arrivals = Arrivals()
    return arrivals, [numbers(arrivals.put(packet(n))) for n in come]


def test_what_comes_in_order_goes_on_at_once() -> None:
    _, out = after(65534, 65535, 65536, 65537)
    assert out == [[65534], [65535], [0], [1]]


def test_a_lost_packet_costs_no_time() -> None:
    _, out = after(1, 2, 4, 5)
    assert out == [[1], [2], [None, 4], [5]]


def test_a_packet_that_was_given_up_is_not_heard_twice() -> None:
    arrivals, out = after(1, 3, 2, 4)
    assert out == [[1], [None, 3], [], [4]]
    assert arrivals.late == 1


@pytest.mark.parametrize("late_by", [1, 2, 3])
def test_late_ones_are_waited_for_after_the_first(late_by: int) -> None:
    arrivals = Arrivals()
    order = [0, *range(2, 2 + late_by), 1, *range(2 + late_by, 10)]
    for number in order:
        arrivals.put(packet(number))
    assert arrivals.patience == late_by
    again = [p for n in order for p in arrivals.put(packet(10 + n))]
    assert numbers(again) == list(range(10, 20))


def test_behind_a_loss_nobody_waits_longer_than_late_ones_were_late() -> None:
    arrivals, _ = after(1, 3, 2)
    assert arrivals.patience == 1
    out = [numbers(arrivals.put(packet(n))) for n in (4, 6, 7, 8)]
    assert out == [[4], [], [None, 6, 7], [8]]


def test_patience_has_a_limit_and_goes_again() -> None:
    arrivals, _ = after(0, *range(2, 60), 1)
    assert arrivals.patience == 5
    for number in range(60, 60 + 6 * 501):
        arrivals.put(packet(number))
    assert arrivals.patience == 0


def test_flushing_gives_what_waits() -> None:
    arrivals, _ = after(1, 3, 2, 4, 6)
    assert numbers(arrivals.flush()) == [None, 6]
    assert arrivals.flush() == []


@pytest.mark.parametrize("other", [packet(5000), packet(3, ssrc=8), packet(-500)])
def test_another_source_begins_anew(other: Packet) -> None:
    arrivals, _ = after(1, 3, 2, 5)
    assert arrivals.put(other) == [None, packet(5), other]


def test_whatever_comes_each_packet_is_given_once_and_in_order() -> None:
    chance = random.Random(1)
    sent = [n for n in range(3000) if chance.random() > 0.02]
    come = sorted(sent, key=lambda n: n + chance.random() * 3)
    arrivals = Arrivals()
    out = [p for n in come for p in arrivals.put(packet(n))] + arrivals.flush()
    found = [n for n in numbers(out) if n is not None]
    assert found == sorted(set(found))
    assert len(found) == len(sent) - arrivals.late
    # What is not there is exactly what is told to be missing.
    assert len(out) == found[-1] - found[0] + 1
    assert arrivals.late < 20
