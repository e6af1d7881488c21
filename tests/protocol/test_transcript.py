from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.protocol.entries import Entry
from offhook.protocol.transcript import Burst, plain, snapped, webvtt


def turn(
    begins: int, ends: int, text: str = "x", who: Literal["caller", "model"] = "caller"
) -> Entry:
    return Entry("turn", who, begins, ends, text, {"modality": "audio"})


def times(entries: list[Entry]) -> list[tuple[int, int]]:
    return [(entry.begins_ms, entry.ends_ms) for entry in entries]


def snap(entries: list[Entry], *bursts: tuple[int, int]) -> list[tuple[int, int]]:
    return times(snapped(entries, {"caller": [Burst(*b) for b in bursts]}, 60_000))


@pytest.mark.parametrize(
    ("entry", "bursts", "found"),
    [
        # Speech with pauses, told of some 100 ms too late.
        ((1100, 3100), [(1000, 1500), (1700, 2200), (2900, 3000)], (1000, 3000)),
        # A word was before what the voice activity noticed.
        ((2000, 3000), [(1200, 1500), (1700, 2900)], (1200, 2900)),
        # A cough a second before is not of it.
        ((2000, 3000), [(800, 900), (2050, 2900)], (2050, 2900)),
        # Events that came late, as over a slow way.
        ((5000, 6000), [(3500, 4400)], (3500, 4400)),
        # Nobody is heard anywhere near.
        ((5000, 6000), [(1000, 1400), (9000, 9900)], (5000, 6000)),
        ((5000, 6000), [], (5000, 6000)),
    ],
)
def test_a_turn_is_where_it_is_heard(
    entry: tuple[int, int],
    bursts: list[tuple[int, int]],
    found: tuple[int, int],
) -> None:
    assert snap([turn(*entry)], *bursts) == [found]


def test_what_was_heard_in_one_turn_is_not_in_the_next() -> None:
    turns = [turn(1000, 2000), turn(2200, 3000)]
    found = snap(turns, (950, 1900), (2250, 2900))
    assert found == [(950, 1900), (2250, 2900)]


def test_only_spoken_turns_of_that_side_are_moved() -> None:
    written = Entry("turn", "caller", 1200, 1200, "x", {"modality": "text"})
    tool = Entry("tool", "model", 1200, 1300, "lookup")
    model = turn(1200, 1400, who="model")
    entries = [written, tool, model]
    assert snapped(entries, {"caller": [Burst(1000, 1500)]}, 60_000) == entries


def test_what_is_after_the_recording_is_not_in_it() -> None:
    entries = [turn(1000, 3000), turn(2500, 2600)]
    assert times(snapped(entries, {}, 2000)) == [(1000, 2000)]


bursts = st.lists(st.integers(1, 3000), max_size=20, unique=True).map(
    lambda edges: [
        Burst(a, b)
        for a, b in zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False)
    ]
)


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 2000))), bursts)
def test_whatever_is_told_the_order_is_that_of_time(
    told: list[tuple[int, int]], heard: list[Burst]
) -> None:
    entries = [turn(begins, begins + lasts) for begins, lasts in told]
    found = snapped(entries, {"caller": heard}, 3000)
    assert len(found) == sum(begins <= 3000 for begins, _ in told)
    begins = [entry.begins_ms for entry in found]
    assert begins == sorted(begins)
    assert all(entry.begins_ms <= entry.ends_ms for entry in found)


def test_cues_have_voices_and_nothing_that_is_markup() -> None:
    entries = [
        turn(1200, 3450, "Is 1 < 2 & 3 --> 4?\n\nReally?"),
        Entry("tool", "model", 3500, 3600, "lookup"),
        turn(3_723_004, 3_723_005, "Yes.", who="model"),
        turn(4_000_000, 4_000_500, " "),
    ]
    assert webvtt(entries) == (
        "WEBVTT\n\n"
        "00:00:01.200 --> 00:00:03.450\n"
        "<v Caller>Is 1 &lt; 2 &amp; 3 --&gt; 4? Really?</v>\n\n"
        "01:02:03.004 --> 01:02:03.104\n"
        "<v Model>Yes.</v>\n"
    )


def test_lines_say_when_and_who() -> None:
    entries = [
        turn(61_200, 63_450, "Hello,\nyou."),
        turn(64_000, 65_000, "Hi.", "model"),
    ]
    assert plain(entries) == "[00:01:01] Caller: Hello, you.\n[00:01:04] Model: Hi.\n"


def test_nothing_said_is_an_empty_transcript() -> None:
    none: list[Any] = []
    assert webvtt(none) == "WEBVTT\n"
    assert plain(none) == ""
