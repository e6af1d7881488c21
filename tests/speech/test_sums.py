from __future__ import annotations

import pytest

from offhook.speech.sums import solve


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("what is seven times eight?", "56"),
        ("what was seven times eight?", "56"),
        ("7 \u00d7 8", "56"),
        ("7x8", "56"),
        ("12 times 12", "144"),
        ("how much is twelve multiplied by twelve?", "144"),
        ("two hundred and fifty plus 17", "267"),
        ("1,250 plus 17", "1,267"),
        ("ten minus twelve", "-2"),
        ("minus three plus ten", "7"),
        ("ten divided by four", "2.5"),
        ("10/3", "about 3.33"),
        ("2 plus 3 times 4", "14"),
        ("10 times 10 to the power of 2", "1,000"),
        ("two to the power of minus one", "0.5"),
        ("nine squared", "81"),
        ("15% of 80", "12"),
        ("fifteen per cent of eighty", "12"),
        ("half of ninety", "45"),
        ("the square root of 144", "12"),
        ("what is the square root of two", "about 1.41"),
        ("to plus to", "4"),
        ("ok so what is 5 minus 3 please", "2"),
    ],
)
def test_sums(text: str, result: str) -> None:
    answer = solve(text)
    assert answer is not None
    assert answer.endswith(f" is {result}.")


def test_the_answer_repeats_the_question() -> None:
    assert solve("7 * 8") == "7 times 8 is 56."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("five divided by zero", "I cannot divide by zero."),
        ("0 to the power of minus 1", "I cannot divide by zero."),
        ("the square root of minus 4", "That has no real answer."),
        ("minus 8 plus 2 to the power of 0.5", "Minus 8 plus 2 to the power of 0.5"),
        ("9 to the power of 9999999999", "That is too large for me."),
        ("999999999999 times 999999999999", "That is too large for me."),
    ],
)
def test_what_cannot_be_solved(text: str, answer: str) -> None:
    assert (solve(text) or "").startswith(answer)


@pytest.mark.parametrize(
    "text",
    ["seven", "minus seven", "call 555-1234", "i work 24/7", "it is 10:08", "plus", ""],
)
def test_what_is_no_sum(text: str) -> None:
    assert solve(text) is None


def test_a_nine_that_was_heard_as_mine() -> None:
    assert solve("what is mine plus five") == "9 plus 5 is 14."
    assert solve("that is mine") is None
