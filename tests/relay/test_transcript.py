from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.protocol.entries import Entry
from offhook.relay.transcript import hits, mark, unheard


def test_words_that_were_sought_are_found_by_their_beginning() -> None:
    found = list(hits("The Parcel, my parcels, a park.", "parcel my"))
    assert [part for part, hit in found if hit] == ["Parcel", "my", "parcels"]
    assert list(hits("a (b) c", "(b")) == [("a (", False), ("b", True), (") c", False)]
    for nothing in ("", "  ", "?!"):
        assert list(hits("some text", nothing)) == [("some text", False)]


@given(st.text(max_size=50), st.text(max_size=10))
def test_the_parts_are_the_text(text: str, sought: str) -> None:
    assert "".join(part for part, _ in hits(text, sought)) == text


@pytest.mark.parametrize(
    ("heard", "made", "left"),
    [
        ("Yes, I can", "Yes, I can hear you.", "hear you."),
        ("", "Never heard.", "Never heard."),
        ("All of it.", "All of it.", ""),
        ("Something", "else", ""),
        ("Text", None, ""),
        ("Text", 5, ""),
    ],
)
def test_what_was_not_heard(heard: str, made: object, left: str) -> None:
    assert unheard(Entry("turn", "model", 0, 1, heard, {"transcript": made})) == left


@pytest.mark.parametrize(
    ("text", "data", "said"),
    [
        ("offhook.recording.started", {}, "Recording began"),
        ("recording.failed", {"why": "It is full."}, "Recording failed: It is full."),
        (
            "guard.restored",
            {"what": ["instructions", "tools"]},
            "Put back: what the caller changed of the session: instructions, tools",
        ),
        ("It broke.", {"event": "error", "code": "x"}, "error: It broke."),
        ("", {"event": "error"}, "error"),
        ("7", {"event": "dtmf"}, "dtmf: 7"),
        ("offhook.else", {}, "offhook.else"),
        ("", {}, ""),
    ],
)
def test_marks_are_put_into_words(text: str, data: dict[str, Any], said: str) -> None:
    assert mark(Entry("mark", "server", 0, 0, text, data)) == said
