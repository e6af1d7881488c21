from __future__ import annotations

import pytest

from offhook.speech.units import convert


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("how many feet are in a mile?", "1 mile is 5,280 feet."),
        # How "a mile" is sometimes heard.
        ("how many feet are in the mile?", "1 mile is 5,280 feet."),
        ("how many minutes in two hours", "2 hours is 120 minutes."),
        ("how many seconds are there in a day", "1 day is 86,400 seconds."),
        (
            "convert ten miles to kilometers",
            "10 miles is about 16.09 kilometers.",
        ),
        ("5kg in pounds", "5 kilograms is about 11.02 pounds."),
        ("what is 2,000 metres in kilometres", "2,000 meters is 2 kilometers."),
        ("1 inch in centimeters", "1 inch is 2.54 centimeters."),
        (
            "what is 212 degrees fahrenheit in celsius",
            "212 degrees Fahrenheit is 100 degrees Celsius.",
        ),
        (
            "20\u00b0 celsius to fahrenheit",
            "20 degrees Celsius is 68 degrees Fahrenheit.",
        ),
        (
            "minus 40 celsius in fahrenheit",
            "minus 40 degrees Celsius is minus 40 degrees Fahrenheit.",
        ),
        ("60 mph in kph", "60 miles per hour is about 96.56 kilometers per hour."),
        ("three miles in pounds", "I cannot turn miles into pounds."),
    ],
)
def test_conversions(text: str, answer: str) -> None:
    assert convert(text) == answer


@pytest.mark.parametrize(
    "text", ["i run 5 miles", "a mile in my shoes", "see you in a day"]
)
def test_what_is_no_conversion(text: str) -> None:
    assert convert(text) is None
