from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import pytest

from offhook.protocol.prompt import Prompt, Tool, ToolCall, ToolOutput, Turn
from offhook.speech.skills import Skills
from tests.speech.tools.toolbox import ORDER, STATUS, WEATHER, handoff

NOW = datetime(2026, 11, 22, 22, 8)
DATE = "Today is Sunday, November 22, 2026."


def answer(*said: str, now: datetime = NOW, seed: int = 0) -> str:
    """Say things in turn, and give the last answer."""
    skills = Skills(lambda: now, random.Random(seed))
    turns: list[Turn] = []
    for text in said:
        turns.append(Turn("user", text))
        turns.append(Turn("assistant", skills.answer(Prompt("", tuple(turns)))))
    return turns[-1].text


@pytest.mark.parametrize(
    "text",
    [
        "What time is it?",
        "what time is it",
        "What's the time?",
        "Tell me the time, please.",
        "Can you tell me what time it is right now?",
        "Do you have the time?",
        "Hey, what time is it in here?",
        "What is the current time?",
        "Time?",
    ],
)
def test_time(text: str) -> None:
    assert answer(text) == "It is 10:08 PM."


@pytest.mark.parametrize(
    ("hour", "minute", "said"),
    [(0, 5, "12:05 AM"), (9, 30, "9:30 AM"), (12, 0, "12:00 PM"), (13, 1, "1:01 PM")],
)
def test_time_of_day(hour: int, minute: int, said: str) -> None:
    assert answer("What time is it?", now=datetime(2026, 1, 1, hour, minute)) == (
        f"It is {said}."
    )


@pytest.mark.parametrize(
    "text",
    [
        "What's the date?",
        "What is today's date?",
        "What day is it today?",
        "Which day of the week is it?",
        "What year is it?",
        "Tell me the date please",
        "What's today?",
    ],
)
def test_date(text: str) -> None:
    assert answer(text) == DATE


def test_date_of_other_days() -> None:
    assert answer("What day is tomorrow?") == "Tomorrow is Monday, November 23, 2026."
    assert answer("What day was it yesterday?") == (
        "Yesterday was Saturday, November 21, 2026."
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Repeat after me, blue whales sing slowly.", "Blue whales sing slowly."),
        ("Repeat after me: I am here", "I am here."),
        ("Repeat after me. Is it late?", "Is it late?"),
        ("Can you please say good morning Ada?", "Good morning Ada?"),
        ("Please repeat, what time is it?", "What time is it?"),
    ],
)
def test_repeat(text: str, said: str) -> None:
    assert answer(text) == said


@pytest.mark.parametrize(
    "text", ["Say that again.", "Can you repeat that, please?", "What did you say?"]
)
def test_say_again(text: str) -> None:
    assert answer("What is 2 + 2?", text) == "2 plus 2 is 4."
    assert answer(text) == "I have not said anything yet."


@pytest.mark.parametrize(
    "text",
    [
        "How do you spell necessary?",
        "Spell necessary.",
        "Please spell the word necessary",
        "Can you spell necessary, please?",
        'How would you spell "necessary"?',
    ],
)
def test_spell(text: str) -> None:
    assert answer(text) == "Necessary: N, E, C, E, S, S, A, R, Y."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Count to five.", "1, 2, 3, 4, 5."),
        ("Can you count from three to 6?", "3, 4, 5, 6."),
        ("Count down from four.", "4, 3, 2, 1."),
        ("Count backwards from five to three.", "5, 4, 3."),
        ("Count to a million.", "That takes too long. I count fifty numbers at most."),
    ],
)
def test_count(text: str, said: str) -> None:
    assert answer(text) == said


@pytest.mark.parametrize(
    "text", ["Flip a coin.", "Toss a coin, please", "Heads or tails?"]
)
def test_coin_has_two_sides(text: str) -> None:
    sides = {answer(text, seed=seed) for seed in range(20)}
    assert sides == {"It is heads.", "It is tails."}


def test_die_has_six_sides() -> None:
    rolls = {answer("Roll a die.", seed=seed) for seed in range(100)}
    assert rolls == {f"I rolled a {side}." for side in range(1, 7)}


def test_dice() -> None:
    assert answer("Roll the dice.").count(" and ") == 1
    assert answer("Roll three dice.").count(",") == 1
    assert answer("Roll 99 dice.") == "I have six dice only."


def test_sums_and_units() -> None:
    assert answer("What's seven times eight?") == "7 times 8 is 56."
    assert answer("What's 15% of 80?") == "15 percent of 80 is 12."
    assert answer("How many feet are in a mile?") == "1 mile is 5,280 feet."


def test_name() -> None:
    assert answer("Hi, my name is ada.") == "Nice to meet you, Ada."
    assert answer("My name's Ada.", "Thanks.", "What's my name?") == "Your name is Ada."
    assert answer("Do you know my name?") == "You have not told me your name."


def test_memory() -> None:
    assert answer("Birds fly.", "What did I say?") == "You said: Birds fly."
    assert answer("What did I just say?") == "Nothing before that."


@pytest.mark.parametrize("text", ["Hello.", "Hi there!", "Good morning."])
def test_greeting(text: str) -> None:
    assert answer(text) == "Hello! How can I help?"


@pytest.mark.parametrize(
    "text", ["Goodbye.", "Good-by.", "Ok, bye!", "Thank you, bye."]
)
def test_goodbye(text: str) -> None:
    assert answer(text) == "Goodbye!"


@pytest.mark.parametrize(
    "text", ["Thanks!", "Thank you very much.", "Okay, thank you."]
)
def test_thanks(text: str) -> None:
    assert answer(text) == "You are welcome."


@pytest.mark.parametrize(
    "text", ["Help.", "What can you do?", "Who are you?", "Are you a robot?"]
)
def test_help_is_honest(text: str) -> None:
    said = answer(text)
    assert "offline" in said
    assert "OPENAI_API_KEY" in said


@pytest.mark.parametrize(
    "text",
    [
        "What is the weather in Paris?",
        "What is the best time to visit Rome?",
        "Have a nice day.",
        "I counted my change.",
    ],
)
def test_anything_else_is_only_heard(text: str) -> None:
    said = answer(text)
    assert said.startswith(f"I am a small offline stand-in. I heard: {text} ")
    assert "OPENAI_API_KEY" in said


@pytest.mark.parametrize("text", ["", "  ", "...", "?"])
def test_nothing_heard(text: str) -> None:
    assert answer(text) == "Sorry, I didn't catch that."


def test_nobody_has_spoken() -> None:
    system = Turn("system", "Be brief.")
    assert Skills().answer(Prompt("", (system,))) == "Hello! How can I help?"


@pytest.mark.anyio
async def test_reply_comes_in_sentences() -> None:
    prompt = Prompt("", (Turn("user", "Hello."),))
    assert [s async for s in Skills().reply(prompt)] == ["Hello!", "How can I help?"]


WEATHER_ASKED = Turn("user", "What's the weather in Paris?")
WEATHER_CALL = ToolCall("get_weather", '{"city": "Paris"}', "call_1")
SUNNY = ToolOutput("call_1", "Sunny, 21 degrees.")
TO_ORDERS = ToolCall("transfer_to_orders", "{}", "call_1")
ORDERS = ToolOutput("call_1", '{"assistant": "Orders"}')


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("turns", "how", "said"),
    [
        ((WEATHER_ASKED, WEATHER_CALL, SUNNY), {}, ["Sunny, 21 degrees."]),
        (
            (WEATHER_ASKED, WEATHER_CALL, SUNNY),
            {"tools": ()},
            ["Sunny, 21 degrees."],
        ),
        (
            (WEATHER_ASKED, WEATHER_CALL),
            {},
            ["I am still waiting for an answer."],
        ),
        (
            (WEATHER_ASKED, WEATHER_CALL, SUNNY, Turn("assistant", "Sunny.")),
            {},
            ["How can I help?"],
        ),
        (
            (WEATHER_ASKED, WEATHER_CALL, SUNNY),
            {"must_call": True},
            ["Sunny, 21 degrees.", ToolCall("get_weather", '{"city": "Paris"}')],
        ),
        (
            (WEATHER_ASKED, WEATHER_CALL, SUNNY, Turn("user", "And in Oslo?")),
            {},
            [ToolCall("get_weather", '{"city": "Oslo"}')],
        ),
        (
            (WEATHER_ASKED, WEATHER_CALL, SUNNY, Turn("user", "How about jokes?")),
            {},
            [
                "I am a small offline stand-in.",
                "I heard: How about jokes?",
                "Set OPENAI_API_KEY to talk to the real model.",
            ],
        ),
        (
            (WEATHER_ASKED, WEATHER_CALL, Turn("user", "What is 2 + 2?"), SUNNY),
            {},
            ["Sunny, 21 degrees.", "2 plus 2 is 4."],
        ),
        (
            (Turn("user", "Orders, please"), TO_ORDERS, ORDERS),
            {"tools": (STATUS,)},
            ["Orders here.", "How can I help?"],
        ),
        (
            (Turn("user", "Where is my order 42?"), TO_ORDERS, ORDERS),
            {"tools": (ORDER, handoff("Orders"))},
            ["Orders here.", ToolCall("lookup_order", '{"order_number": "42"}')],
        ),
        (
            (Turn("user", "Transfer me to orders"), TO_ORDERS, ORDERS),
            {"tools": (handoff("Orders"), STATUS)},
            ["Orders here.", "How can I help?"],
        ),
        (
            (Turn("user", "Where is my order?"), TO_ORDERS, ORDERS),
            {"tools": (ORDER, handoff("Orders"))},
            ["Orders here.", "Which order number?"],
        ),
        (
            (Turn("user", "Hi."), Turn("system", "Be brief."), SUNNY),
            {},
            ["Sunny, 21 degrees.", "Hello!", "How can I help?"],
        ),
    ],
)
async def test_what_tools_return_is_said(
    turns: tuple[Turn | ToolCall | ToolOutput, ...],
    how: dict[str, Any],
    said: list[str | ToolCall],
) -> None:
    tools: dict[str, tuple[Tool, ...]] = {"tools": (WEATHER,)}
    prompt = Prompt("", turns, **(tools | how))
    parts = [part async for part in Skills(lambda: NOW).reply(prompt)]
    assert parts == said


@pytest.mark.anyio
async def test_of_a_very_long_turn_only_the_beginning_is_read() -> None:
    turn = Turn("user", "Please repeat after me. " + "word " * 60_000)
    said = [part async for part in Skills().reply(Prompt("", (turn,)))]
    assert sum(len(str(part)) for part in said) < 2100
