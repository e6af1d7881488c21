from __future__ import annotations

import pytest

from offhook.speech.tools.words import parts, senses, stem, words


@pytest.mark.parametrize(
    "alike",
    [
        "book books booked booking bookings",
        "order orders ordered",
        "weather weathers weather's",
        "city cities",
        "play plays playing played",
        "cancel cancelled cancellation",
        "translate translation translator translating",
        "set setting settings",
        "address addresses",
        "rain rains raining",
        "time times",
    ],
)
def test_forms_of_a_word_have_one_stem(alike: str) -> None:
    assert len({stem(word) for word in alike.split()}) == 1


@pytest.mark.parametrize(
    "different", ["time timer", "bill billion", "order ore", "light lit"]
)
def test_different_words_have_different_stems(different: str) -> None:
    one, other = different.split()
    assert stem(one) != stem(other)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("get_weather", "get weather"),
        ("lookupOrder_by-id", "lookup order by id"),
        ("HTTPServer2", "http server 2"),
        ("größeHolen", "größe holen"),
        ("名前", "名前"),
        ("---", ""),
    ],
)
def test_parts_of_identifiers(name: str, said: str) -> None:
    assert parts(name) == said.split()


def test_words() -> None:
    assert words("What's “on”, today?") == ["What's", "on", "today"]


def test_senses() -> None:
    assert stem("weather") in senses(stem("raining"))
    assert senses("planet") == {"planet"}
    assert senses(stem("temperature")) >= {stem("weather"), stem("thermostat")}
