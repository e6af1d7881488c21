from __future__ import annotations

import json
from typing import Any

import pytest

from offhook.protocol.prompt import ToolCall, ToolOutput, Turn
from offhook.speech.tools.outputs import returned, spoken


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("Sunny, 21 degrees.", "Sunny, 21 degrees."),
        ("sunny", "Sunny."),
        ("One.\nTwo.", "One. Two."),
        ("", "Done."),
        ("None", "Done."),
        ("null", "Done."),
        ("true", "Yes."),
        ("false", "No."),
        ("21.50", "21.5."),
        ('"Shipped."', "Shipped."),
        (
            "An error occurred while running the tool. Please try again.",
            "An error occurred while running the tool. Please try again.",
        ),
        (
            {"temperature": 21.0, "condition": "sunny", "alert": None},
            "Temperature: 21. Condition: sunny.",
        ),
        (
            {"temperature_c": 21, "windKmh": 9},
            "Temperature: 21 degrees Celsius. Wind: 9 kilometers per hour.",
        ),
        (
            {"inStock": True, "sizes": [36, 38, 40]},
            "In stock: yes. Sizes: 36, 38 and 40.",
        ),
        ({"result": {"city": "Paris"}}, "City: Paris."),
        ({"place": {"city": "Paris", "zip": 75001}}, "Place: city Paris, zip 75001."),
        ([{"name": "Ada"}, {"name": "Bob"}], "Name Ada. Name Bob."),
        (list("abcdefgh"), "A, b, c, d, e and 3 more."),
        ([], "Nothing."),
        ({}, "Done."),
        ([{"type": "text", "text": "Hello."}], "Hello."),
        ({"error": "No such order"}, "Error: No such order."),
        ("{broken", "{broken."),
    ],
)
def test_outputs_in_words(output: Any, said: str) -> None:
    text = output if isinstance(output, str) else json.dumps(output)
    assert spoken(text) == said


def test_long_outputs_are_shortened() -> None:
    said = spoken("A sentence that goes on. " * 50)
    assert len(said) < 450
    assert said.endswith("goes on. There is more.")
    assert len(spoken("word " * 5000)) < 450
    assert len(spoken(json.dumps([{"a": "b" * 90}] * 900))) < 700
    assert spoken("[" * 100_000).startswith("[[")


def call(number: int, name: str = "get_weather", **arguments: Any) -> ToolCall:
    return ToolCall(name, json.dumps(arguments), f"call_{number}")


def output(number: int, text: str) -> ToolOutput:
    return ToolOutput(f"call_{number}", text)


USER = Turn("user", "The weather?")


def test_nothing_returned() -> None:
    for turns in ((), (USER,), (USER, Turn("assistant", "Sunny."))):
        back = returned(turns)
        assert not (back.said or back.waits or back.handoff or back.called)


def test_all_outputs_are_said() -> None:
    back = returned(
        (USER, call(1), call(2, "get_time"), output(2, "9"), output(1, "3"))
    )
    assert back.said == ("9.", "3.")
    assert back.called == {"get_weather", "get_time"}


def test_outputs_of_one_tool_are_told_apart() -> None:
    calls = (call(1, city="paris"), call(2, city="Rome"))
    back = returned((USER, *calls, output(1, "Sunny."), output(2, "Rain.")))
    assert back.said == ("Paris: Sunny.", "Rome: Rain.")


def test_only_outputs_that_nobody_has_said_are_said() -> None:
    turns = (USER, call(1), call(2), output(1, "A"), Turn("assistant", "A."))
    assert returned(turns).said == ()
    assert returned((*turns, output(2, "B"))).said == ("B.",)
    assert returned(turns).called == {"get_weather"}


def test_an_output_that_came_too_late_for_the_answer_is_said_next() -> None:
    turns = (
        USER,
        call(1, city="Paris"),
        call(2, city="Rome"),
        output(1, "It is sunny."),
    )
    assert returned(turns).said == ("Paris: It is sunny.",)
    # The second came while the answer to the first was being made.
    answer = Turn("assistant", "Paris: It is  sunny.")
    late = (*turns, output(2, "It is sunny."), answer)
    assert returned(late).said == ("Rome: It is sunny.",)
    both = Turn("assistant", "Paris: It is sunny. Rome: It is sunny.")
    assert returned((*late[:-1], both)).said == ()
    # A model has words of its own, and has seen all of them.
    own = Turn("assistant", "Sunny in both.")
    assert returned((*late[:-1], own)).said == ()


def test_a_tool_that_has_not_returned() -> None:
    assert returned((USER, call(1))).waits
    assert not returned((USER, call(1), output(1, "A"))).waits


def test_outputs_for_what_the_user_said_before() -> None:
    back = returned((USER, call(1), Turn("user", "The time?"), output(1, "A")))
    assert back.said == ("A.",)
    assert back.called == set()


def test_an_output_of_an_unknown_call() -> None:
    assert returned((output(7, "A"),)).said == ("A.",)


def test_handoffs() -> None:
    back = returned(
        (USER, call(1, "transfer_to_b"), output(1, '{"assistant": "Billing"}'))
    )
    assert back.handoff
    assert back.said == ("Billing here.",)
