from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.speech.sentences import Splitter, split


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It costs 3.50 today. Fine.", ["It costs 3.50 today.", "Fine."]),
        ("Dr. Smith met J. K. Rowling.", ["Dr. Smith met J. K. Rowling."]),
        ("Fruit, e.g. apples. Yes.", ["Fruit, e.g. apples.", "Yes."]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("Well... maybe.", ["Well...", "maybe."]),
        ("1. Stir\n2. Bake", ["1. Stir", "2. Bake"]),
        ("So did I. Really.", ["So did I.", "Really."]),
        (" \n ", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert split(text) == sentences


def test_a_sentence_comes_as_soon_as_it_is_complete() -> None:
    splitter = Splitter()
    assert splitter.feed("Hello") == []
    assert splitter.feed(" there.") == []  # it could still be "there.com"
    assert splitter.feed(" How") == ["Hello there."]
    assert splitter.flush() == ["How"]
    assert splitter.flush() == []


def test_what_is_too_long_is_cut_after_a_clause() -> None:
    text = "and so on and on, " * 40
    sentences = split(text)
    assert all(len(sentence) <= 240 for sentence in sentences)
    assert all(sentence.endswith(",") for sentence in sentences)


@given(st.text("aB.!? \n,1\"'", max_size=600), st.integers(1, 50))
def test_nothing_is_lost_and_pieces_do_not_matter(text: str, size: int) -> None:
    splitter = Splitter()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    sentences = [s for piece in pieces for s in splitter.feed(piece)]
    sentences += splitter.flush()
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(0 < len(sentence) <= 240 for sentence in sentences)
