from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from offhook.protocol.entries import Entry
from offhook.relay.timeline import Latency, Timeline


def turn(begins: int, ends: int, text: str = "", **data: object) -> Entry:
    return Entry("turn", "model", begins, ends, text, data)


def test_entries_lie_where_they_were() -> None:
    entries = [
        turn(0, 5000, "Hello."),
        Entry("interruption", "caller", 5000, 5000),
        turn(7500, 9000),
    ]
    line = Timeline.of(entries, 10_000)
    spans = line.where("turn")
    assert [(s.number, s.left, s.width) for s in spans] == [(0, 0, 50), (2, 75, 15)]
    assert spans[0].label == "0:00 Hello."
    assert [s.number for s in line.where("interruption", "tool")] == [1]
    assert [(t.left, t.label) for t in line.ticks[::5]] == [
        (0, "0:00"),
        (50, "0:05"),
        (100, "0:10"),
    ]


def test_a_line_is_as_long_as_what_is_on_it() -> None:
    assert Timeline.of([turn(0, 9000)], 4000).milliseconds == 9000
    empty = Timeline.of([], 0)
    assert (empty.spans, len(empty.ticks)) == ([], 1)


def test_hours_have_few_ticks() -> None:
    line = Timeline.of([], 3 * 3_600_000)
    assert [tick.label for tick in line.ticks[:3]] == ["0:00", "15:00", "30:00"]
    assert len(line.ticks) == 13


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=20),
    st.floats(0, 1e9),
)
def test_nothing_lies_beside_the_line(
    times: list[tuple[int, int]], length: float
) -> None:
    entries = [turn(min(pair), max(pair)) for pair in times]
    line = Timeline.of(entries, length)
    for span in line.spans:
        assert 0 <= span.left <= 100
        assert 0 < span.width <= 100.001 - span.left
    assert all(0 <= tick.left <= 100 for tick in line.ticks)
    assert len(line.ticks) < 1000


def test_latency_is_of_the_answers_that_have_one() -> None:
    entries = [
        turn(0, 1),
        turn(1, 2, first_audio_ms=400),
        turn(2, 3, first_audio_ms=900),
        turn(3, 4, first_audio_ms=None),
        turn(4, 5, first_audio_ms=600),
    ]
    latency = Latency.of(entries)
    assert latency
    assert (latency.scale, latency.median, latency.longest) == (1000, 600, 900)
    assert [(bar.number, bar.height, bar.label) for bar in latency.bars] == [
        (1, 40, "0.40 s"),
        (2, 90, "0.90 s"),
        (4, 60, "0.60 s"),
    ]
    places = [bar.left for bar in latency.bars]
    assert 13 < places[0] < places[1] < places[2] < 100 - latency.bars[2].width
    assert Latency.of([turn(0, 1)]) is None


def test_a_scale_has_room_for_the_longest() -> None:
    latency = Latency.of([turn(0, 1, first_audio_ms=90_000)])
    assert latency
    assert latency.bars[0].height == 100
