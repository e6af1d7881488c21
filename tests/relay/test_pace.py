from __future__ import annotations

import random

import pytest

from offhook.relay.pace import Pace


def test_a_pace_allows_a_burst_and_then_so_many_a_second() -> None:
    pace = Pace(10)
    assert [pace.take(100.0) for _ in range(20)] == [0.0] * 20
    waits = [pace.take(100.0) for _ in range(3)]
    assert waits == pytest.approx([0.1, 0.2, 0.3])
    assert pace.late
    assert pace.held == 0
    pace.take(100.35)
    assert pace.held == pytest.approx(0.35)
    # After a pause there is room again.
    assert pace.take(110.0) == 0


def test_naps_do_not_hide_that_somebody_sends_too_much() -> None:
    pace = Pace(100)
    now, events = 100.0, 0
    while now < 105:
        events += 1
        now += pace.take(now)
    assert events == pytest.approx(100 * (2 + 5), rel=0.02)
    assert pace.held == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_late_wake_ups_do_not_hide_it_either(seed: int) -> None:
    chance = random.Random(seed)
    pace = Pace(200)
    now, events = 100.0, 0
    while pace.held < 20:
        assert now < 140, "never held for so long"
        events += 1
        # What an event takes, and how late a busy machine wakes up.
        now += chance.uniform(0, 0.001)
        if wait := pace.take(now):
            now += wait + chance.choice((0.0, 0.01, 0.3, 1.0, 1.5))
    assert now - 100 == pytest.approx(20, abs=3)


@pytest.mark.parametrize("seed", range(5))
def test_who_keeps_to_the_rate_is_not_held_back_for_long(seed: int) -> None:
    chance = random.Random(seed)
    pace = Pace(200)
    ready, now = 100.0, 100.0
    for number in range(200 * 120):
        # Now and then 500 at once, otherwise 170 a second, unevenly: 185 on average.
        ready += 0 if number % 6000 < 500 else chance.uniform(0, 2 / 170)
        now = max(now, ready)
        now += pace.take(now)
        assert pace.held < 10
    assert pace.take(now + 10) == 0
