from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.protocol.playback import (
    AudioPart,
    PlaybackLedger,
    Truncation,
    duration_ms,
)

A = AudioPart("r", "a", 0)
B = AudioPart("r", "b", 0)
C = AudioPart("s", "c", 0)


@pytest.mark.parametrize(
    ("format_", "byte_count", "ms"),
    [
        ({"type": "audio/pcmu"}, 160, 20),
        ({"type": "audio/pcma"}, 8000, 1000),
        ("audio/pcmu", 160, 20),
        ("g711_ulaw", 160, 20),
        ("g711_alaw", 160, 20),
        ({"type": "audio/pcm", "rate": 24000}, 48_000, 1000),
        ({"type": "audio/pcm", "rate": 16000}, 48_000, 1500),
        ({"type": "audio/pcm", "rate": 44100}, 88_200, 1000),
        ({"type": "audio/pcm", "rate": 0}, 48_000, 1000),
        ({"type": "audio/pcm", "rate": "fast"}, 48_000, 1000),
        ({"type": "audio/pcm"}, 48_000, 1000),
        ("pcm16", 48_000, 1000),
        ({"type": "audio/opus", "rate": 48000}, 24, 0.5),
        ({}, 48, 1),
        (None, 48, 1),
        (None, 0, 0),
    ],
    ids=str,
)
def test_how_long_audio_lasts(
    format_: dict[str, Any] | str | None, byte_count: int, ms: float
) -> None:
    assert duration_ms(byte_count, format_) == ms


@pytest.mark.parametrize(
    ("at_ms", "complete", "expected"),
    [
        (1000, False, [Truncation("a", 0, 0)]),
        (1100.9, False, [Truncation("a", 0, 100)]),
        (1100.9, True, [Truncation("a", 0, 100)]),
        (1999.5, True, [Truncation("a", 0, 999)]),
        (2000, True, []),
        (5000, True, []),
        # More may have been generated than has arrived.
        (5000, False, [Truncation("a", 0, 1000)]),
        # JS: a clock that went back sends nothing.
        (999, False, []),
        (-5, True, []),
    ],
)
def test_where_an_item_is_truncated(
    at_ms: float, complete: bool, expected: list[Truncation]
) -> None:
    ledger = PlaybackLedger()
    ledger.add(A, 600, 1000)
    ledger.add(A, 400, 1000)
    if complete:
        ledger.complete(A)
    assert ledger.interrupt(at_ms) == expected


@pytest.mark.parametrize(
    ("at_ms", "expected"),
    [
        # The official SDK truncates b at 100 here.
        (100, [Truncation("a", 0, 100), Truncation("b", 0, 0), Truncation("c", 0, 0)]),
        (1000, [Truncation("b", 0, 0), Truncation("c", 0, 0)]),
        (1500, [Truncation("b", 0, 500), Truncation("c", 0, 0)]),
        (2250, [Truncation("c", 0, 250)]),
        (3000, []),
    ],
)
def test_only_what_is_being_heard_has_an_end(
    at_ms: float, expected: list[Truncation]
) -> None:
    ledger = PlaybackLedger()
    for part in (A, B, C):
        ledger.add(part, 1000, 0)
    ledger.finish("s")
    assert ledger.interrupt(at_ms) == expected


def test_the_parts_of_an_item_are_truncated_apart() -> None:
    ledger = PlaybackLedger()
    ledger.add(A, 100, 0)
    ledger.add(A._replace(content_index=1), 100, 0)
    assert ledger.heard_ms("a", 130) == 130
    assert ledger.interrupt(150) == [Truncation("a", 1, 50)]


def test_silence_in_between_was_not_heard() -> None:
    ledger = PlaybackLedger()
    ledger.add(A, 100, 0)
    assert not ledger.playing(300)
    ledger.add(A, 100, 500)
    assert ledger.playing(550)
    assert ledger.heard_ms("a", 550) == 150
    assert ledger.interrupt(560) == [Truncation("a", 0, 160)]


def test_a_clock_that_goes_back_stands_still() -> None:
    ledger = PlaybackLedger()
    ledger.add(A, 1000, 100)
    assert ledger.heard_ms("a", 200) == 100
    ledger.add(A, 1000, 150)
    assert ledger.heard_ms("a", 120) == 100
    assert ledger.heard_ms("a", 210) == 110
    assert ledger.interrupt(50) == []
    assert ledger.interrupt(150) == [Truncation("a", 0, 110)]
    ledger.finish("r")
    ledger.add(B, 100, 20)
    assert ledger.interrupt(30) == [Truncation("b", 0, 10)]


def test_what_is_current_outlives_its_end() -> None:
    ledger = PlaybackLedger()
    assert ledger.current(0) is None
    ledger.add(A, 100, 0)
    ledger.add(B, 100, 0)
    assert ledger.current(99) == A
    assert ledger.current(100) == B
    ledger.finish("r")
    assert ledger.current(900) == B
    assert ledger.interrupt(900) == []
    assert ledger.current(900) is None


def test_what_was_heard_is_forgotten_when_more_comes() -> None:
    ledger = PlaybackLedger()
    ledger.add(A, 100, 0)
    ledger.finish("r")
    assert ledger.heard_ms("a", 200) == 100
    ledger.add(C, 100, 200)
    assert ledger.heard_ms("a", 200) is None
    assert ledger.heard_ms("c", 250) == 50


def test_a_part_may_go_on_after_its_end() -> None:
    ledger = PlaybackLedger()
    ledger.add(A, 100, 0)
    ledger.complete(A)
    ledger.add(A, 100, 200)
    assert ledger.heard_ms("a", 250) == 150


def test_the_end_of_another_response_ends_nothing() -> None:
    ledger = PlaybackLedger()
    ledger.add(A, 100, 0)
    ledger.finish("s")
    assert ledger.interrupt(200) == [Truncation("a", 0, 100)]


def test_a_response_is_interrupted_before_its_first_audio() -> None:
    ledger = PlaybackLedger()
    assert ledger.interrupt(-5, ongoing="r") == []
    assert ledger.ignores("r")


def test_late_audio_of_what_was_interrupted_is_void() -> None:
    ledger = PlaybackLedger()
    ledger.add(A, 100, 0)
    ledger.finish("r")
    ledger.add(C, 100, 0)
    assert not ledger.ignores("s")
    ledger.interrupt(50, ongoing="t")
    assert [ledger.ignores(name) for name in "rst"] == [False, True, True]
    ledger.add(C, 100, 60)
    assert ledger.current(60) is None
    assert ledger.interrupt(70) == []
    for name in "st":
        ledger.finish(name)
        assert not ledger.ignores(name)
    ledger.add(AudioPart("u", "i", 0), 100, 80)
    assert ledger.playing(90)


def test_what_was_heard_but_goes_on_is_interrupted_too() -> None:
    ledger = PlaybackLedger()
    ledger.add(A, 100, 0)
    ledger.complete(A)
    assert ledger.interrupt(500) == []
    assert ledger.ignores("r")


def test_no_audio_is_no_item() -> None:
    ledger = PlaybackLedger()
    ledger.add(A, 0, 0)
    ledger.add(A, -3, 0)
    ledger.complete(A)
    assert ledger.interrupt(0) == []
    assert not ledger.ignores("r")


def test_a_disconnect_forgets_everything() -> None:
    ledger = PlaybackLedger()
    ledger.add(A, 100, 0)
    ledger.interrupt(10)
    ledger.add(C, 100, 0)
    ledger.reset()
    assert not ledger.ignores("r")
    assert not ledger.playing(0)
    assert ledger.interrupt(0) == []
    assert not ledger.ignores("s")


def test_reports_say_how_far_the_player_is() -> None:
    ledger = PlaybackLedger(reported=True)
    for part in (A, B):
        ledger.add(part, 1000, 0)
    assert ledger.heard_ms("a", 5000) == 0
    ledger.played("a", 400)
    ledger.played("a", 300)
    ledger.played("a", -1)
    ledger.played("unknown", 900)
    ledger.played("b", 900, content_index=1)
    assert ledger.heard_ms("a", 0) == 400
    ledger.played("b", 5000)
    assert ledger.heard_ms("a", 0) == 1000
    assert not ledger.playing(0)
    ledger.add(B, 1000, 0)
    assert ledger.playing(0)
    # The clock is nothing to a player that reports.
    assert ledger.interrupt(-9) == [Truncation("b", 0, 1000)]
    ledger.played("b", 1500)
    assert ledger.heard_ms("b", 0) is None


@pytest.mark.parametrize(
    ("acked", "expected"),
    [
        ([], [Truncation("a", 0, 50), Truncation("b", 0, 0)]),
        ([("a", 100.7)], [Truncation("a", 0, 150), Truncation("b", 0, 0)]),
        ([("a", 180)], [Truncation("b", 0, 0)]),
        ([("a", 200)], [Truncation("b", 0, 30)]),
        ([("b", 10)], [Truncation("b", 0, 30)]),
    ],
    ids=str,
)
def test_a_mark_is_behind_what_is_heard(
    acked: list[tuple[str, float]], expected: list[Truncation]
) -> None:
    ledger = PlaybackLedger(reported=True, grace_ms=50)
    ledger.add(A, 200, 0)
    ledger.add(B, 30, 0)
    for item_id, ms in acked:
        ledger.played(item_id, ms)
    assert ledger.interrupt(0) == expected


# Which item, how much, and how much later.
ARRIVALS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 500), st.integers(-50, 500)),
    min_size=1,
    max_size=20,
)


@given(ARRIVALS, st.integers(0, 2000))
def test_what_is_heard_is_what_there_was_time_for(
    arrivals: list[tuple[int, int, int]], later: int
) -> None:
    ledger = PlaybackLedger()
    now = first = latest = 1000
    added: dict[str, int] = {}
    end = first
    for index, ms, wait in sorted(arrivals, key=lambda arrival: arrival[0]):
        if added:
            now = max(now + wait, first)
        latest = max(latest, now)
        item_id = f"i{index}"
        ledger.add(AudioPart("r", item_id, 0), ms, now)
        added[item_id] = added.get(item_id, 0) + ms
        # The player's own reckoning: when will it have run dry?
        end = max(end, latest) + ms
    latest += later
    heard = {item_id: ledger.heard_ms(item_id, latest) for item_id in added}
    # What is no longer there was heard to its end.
    known = {
        name: added[name] if count is None else count for name, count in heard.items()
    }
    assert all(0 <= known[item_id] <= ms for item_id, ms in added.items())
    unheard = max(0, end - latest)
    assert sum(known.values()) == sum(added.values()) - unheard
    assert sum(known.values()) <= latest - first
    cuts = ledger.interrupt(latest)
    whole = added.keys() - {cut.item_id for cut in cuts}
    assert all(known[item_id] == added[item_id] for item_id in whole)
    assert [cut.audio_end_ms for cut in cuts] == [known[cut.item_id] for cut in cuts]
    assert all(cut.audio_end_ms == 0 for cut in cuts[1:])


@given(
    ARRIVALS,
    st.lists(st.tuples(st.integers(0, 3), st.floats(-100, 3000)), max_size=9),
    st.sampled_from((0, 50)),
)
def test_no_report_makes_more_heard_than_there_is(
    arrivals: list[tuple[int, int, int]],
    reports: list[tuple[int, float]],
    grace_ms: int,
) -> None:
    ledger = PlaybackLedger(reported=True, grace_ms=grace_ms)
    added: dict[str, int] = {}
    for index, ms, _ in arrivals:
        ledger.add(AudioPart("r", f"i{index}", 0), ms, 0)
        added[f"i{index}"] = added.get(f"i{index}", 0) + ms
    before = dict.fromkeys(added, 0)
    for index, position in reports:
        ledger.played(f"i{index}", position)
        for item_id in added:
            heard = ledger.heard_ms(item_id, 0)
            assert heard is not None
            assert before[item_id] <= heard <= added[item_id]
            before[item_id] = heard
    for cut in ledger.interrupt(0):
        heard = before[cut.item_id]
        assert heard <= cut.audio_end_ms <= min(heard + grace_ms, added[cut.item_id])
