from __future__ import annotations

from fractions import Fraction

import pytest

from offhook.speech.numerals import digits, spoken


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("zero", "0"),
        ("nineteen", "19"),
        ("twenty-one", "21"),
        ("Forty two", "42"),
        ("a hundred", "100"),
        ("two hundred and five", "205"),
        ("twelve hundred", "1200"),
        ("one thousand and five", "1005"),
        (
            "one hundred and twenty three thousand four hundred and fifty six",
            "123456",
        ),
        ("three million", "3000000"),
        ("three point one four", "3.14"),
        ("zero point oh five", "0.05"),
        # Numbers beside each other stay apart.
        ("seven eight nine", "7 8 9"),
        ("two and three", "2 and 3"),
        ("ten and three", "10 and 3"),
        ("twenty thirty", "20 30"),
        # Words that only contain numbers stay words.
        ("someone often weighs a ton", "someone often weighs a ton"),
        ("we ate 5", "we ate 5"),
    ],
)
def test_digits(text: str, written: str) -> None:
    assert digits(text) == written


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Fraction(56), "56"),
        (Fraction(-3), "-3"),
        (Fraction(5280), "5,280"),
        (Fraction("2.5"), "2.5"),
        (Fraction("1.0625"), "1.0625"),
        (Fraction(10, 3), "about 3.33"),
        (Fraction(1, 7), "about 0.1429"),
        (Fraction("1999.99999"), "about 2,000"),
    ],
)
def test_spoken(value: Fraction, said: str) -> None:
    assert spoken(value) == said
