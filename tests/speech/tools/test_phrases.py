from __future__ import annotations

import pytest

from offhook.speech.tools import phrases


def is_weather(word: str) -> bool:
    return word.lower() == "weather"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("the weather in Paris", ["Paris"]),
        ("in New York and in Rome", ["New York", "Rome"]),
        ("in St. Louis tomorrow", ["St. Louis"]),
        ("in Paris, Texas", ["Paris, Texas"]),
        ("in Rio de Janeiro", ["Rio de Janeiro"]),
        ("to 12 Main Street", ["12 Main Street"]),
        ("on Monday in Oslo", ["Oslo"]),
        ("What about Zürich?", ["Zürich"]),
        ("London weather", ["London"]),
        ("How is London's sky", ["London"]),
        ("Hello.", None),
        ("What now?", None),
        ("I am here", None),
        ("Weather in the morning", None),
    ],
)
def test_names_in_capitals(text: str, names: list[str] | None) -> None:
    found = phrases.named(text, "in|to|about", is_weather, anywhere=True)
    assert (found.value if found else None) == names


def test_names_may_need_a_word_before_them() -> None:
    assert phrases.named("see Rome", "in", is_weather, anywhere=False) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("weather in paris", "paris"),
        ("in new york today", "new york"),
        ("in the kitchen, please", "kitchen"),
        ("in a minute", None),
        ("in 5 days", None),
        ("in weather", None),
    ],
)
def test_names_without_capitals(text: str, name: str | None) -> None:
    found = phrases.loose(text, "in", is_weather)
    assert (found.value if found else None) == name


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("order 4 5 1 7", ["4517"]),
        ("order 4-5-1-7", ["4517"]),
        ("it is A-17.", ["A-17"]),
        ("A B C 1 2 3", ["ABC123"]),
        ("I 42", ["42"]),
        ("four oh seven", []),
        ("4 oh 7", ["407"]),
        ("x7f9, and 12", ["x7f9", "12"]),
        ("none", []),
    ],
)
def test_codes(text: str, codes: list[str]) -> None:
    assert [found.value for found in phrases.codes(text)] == codes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tell Bob that I am late", "I am late"),
        ('write "see you" to Bob', "see you"),
        ("an email saying hello, please", "Hello"),
        ("add a note: buy milk", "Buy milk"),
        ("remind me in 5 minutes to eat", "Eat"),
        ("a refund because it broke", "It broke"),
        ("send an email to Bob", None),
    ],
)
def test_messages(text: str, said: str | None) -> None:
    found = phrases.saying(text)
    assert (found.value if found else None) == said


def test_what_a_message_is_about() -> None:
    found = phrases.about("an email about the party to Bob")
    assert found
    assert found.value == "the party"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("to bob@example.com now", "bob@example.com"),
        ("to bob at example dot com", "bob@example.com"),
        ("to Ada dot Lovelace at mail.example.org", "ada.lovelace@mail.example.org"),
        ("meet Bob at noon", None),
    ],
)
def test_addresses(text: str, address: str | None) -> None:
    found = phrases.email(text)
    assert (found.value if found else None) == address


def test_what_is_searched() -> None:
    assert (
        phrases.searched("Search the web for red shoes.", anyway=False) == "red shoes"
    )
    assert phrases.searched("please look up cats", anyway=False) == "cats"
    assert phrases.searched("Red shoes, please", anyway=True) == "Red shoes"
    assert phrases.searched("Red shoes", anyway=False) == ""


def test_what_is_left() -> None:
    text = "please put some green apples and pears on the weather"
    assert phrases.leftover(text, is_weather) == ["green apples"]
    listed = phrases.leftover(text, is_weather, several=True)
    assert listed == ["green apples", "pears"]
    assert phrases.leftover("what is the weather", is_weather) == []


def test_politeness_is_left_out() -> None:
    assert phrases.plain_request("Um, could you please call Bob, please?") == "call Bob"
    assert phrases.bare("Well, it's in Paris, please.") == "Paris"
    assert phrases.bare("My city is Rome") == "Rome"
    assert phrases.listed("a, b and c") == ["a", "b", "c"]


def test_questions() -> None:
    assert phrases.is_question("Why do you ask")
    assert phrases.is_question("I don't know.")
    assert not phrases.is_question("Paris?")
