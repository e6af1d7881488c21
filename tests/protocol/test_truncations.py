from __future__ import annotations

from typing import Any

import pytest

from offhook.protocol.playback import AudioPart
from offhook.protocol.truncations import Truncations

WORDS = "One two three four five."


def said(words: str = WORDS, kind: str = "output_audio") -> dict[str, Any]:
    field = "transcript" if kind == "output_audio" else "text"
    part = {"type": kind, field: words}
    return {"item_id": "a", "type": "message", "role": "assistant", "content": [part]}


def cut(end: Any, *, length: float | None = 10_000) -> Truncations:
    truncations = Truncations()
    if length is not None:
        for _ in range(2):
            truncations.add(AudioPart("r", "a", 0), length / 2)
    event = {"item_id": "a", "content_index": 0, "audio_end_ms": end}
    truncations.take({"type": "conversation.item.truncated", **event})
    return truncations


@pytest.mark.parametrize(
    ("end", "words"),
    [(3000, "One two"), (3500, "One two"), (9_999, "One two three four"), (1, None)],
)
def test_words_are_cut_in_proportion_and_whole(end: int, words: str | None) -> None:
    found = [*cut(end).applied([said()])]
    assert [item["content"][0]["transcript"] for item in found] == (
        [words] if words else []
    )
    assert all(item["status"] == "incomplete" for item in found)


def test_where_words_have_no_spaces_characters_are_cut() -> None:
    [item] = cut(5000).applied([said("一二三四")])
    assert item["content"][0]["transcript"] == "一二"


def test_of_an_unknown_length_everything_is_incomplete() -> None:
    [item] = cut(1000, length=None).applied([said()])
    assert item == {**said(), "status": "incomplete"}
    assert [*cut(0, length=None).applied([said()])] == []


@pytest.mark.parametrize("end", [10_000, 20_000, "x", None])
def test_what_was_heard_to_its_end_stays(end: Any) -> None:
    assert [*cut(end).applied([said()])] == [said()]


def test_a_part_that_is_text_stays_and_so_do_other_items() -> None:
    text, call = said(kind="output_text"), {"item_id": "c", "type": "function_call"}
    found = [*cut(3000).applied([text, call])]
    assert found == [{**text, "status": "incomplete"}, call]


def test_another_conversation_knows_nothing_of_it() -> None:
    truncations = cut(3000)
    truncations.reset()
    assert [*truncations.applied([said()])] == [said()]
