from __future__ import annotations

import pytest

from offhook.archive.words import split


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("don't — 3.50 e-mail", ["don", "t", "3", "50", "e", "mail"]),
        ("Crème BRÛLÉE, Straße, ﬁnal", ["creme", "brulee", "strasse", "final"]),
        ("今天 天气ok カ", ["今", "天", "天", "气", "ok", "カ"]),
        ("  \n!?", []),
        ("a" * 100, ["a" * 64]),
    ],
)
def test_a_text_has_words(text: str, words: list[str]) -> None:
    assert split(text) == words


def test_words_are_found_as_they_were_kept() -> None:
    # Once split they stay so: a query is split like what it looks for.
    for word in split("Ἀρχιμήδης ÅNGSTRÖM İstanbul สวัสดี 안녕하세요"):
        assert "".join(split(word)) == word
