from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]  # it has no stubs
import pytest

from offhook.protocol.prompt import Prompt, Tool, ToolCall, ToolOutput, Turn
from offhook.speech.skills import Skills
from tests.speech.tools.toolbox import (
    ALL,
    FAQ,
    NULL,
    ORDER,
    STRING,
    WEATHER,
    tool,
)

if TYPE_CHECKING:
    from offhook.protocol.items import Role

NOW = datetime(2026, 11, 22, 22, 8)  # a Sunday
SKILLS = Skills(lambda: NOW)
Answer = list[str | tuple[str, dict[str, Any]]]


def ask(*said: str, tools: tuple[Tool, ...] = ALL, **how: bool) -> Answer:
    """The last answer of a conversation that the user begins."""
    roles: tuple[Role, Role] = ("user", "assistant")
    turns = [Turn(roles[at % 2], text) for at, text in enumerate(said)]
    return parts_of(Prompt("", tuple(turns), tools, **how))


def parts_of(prompt: Prompt) -> Answer:
    """An answer, with its calls checked against their schemas."""

    async def collect() -> list[str | ToolCall]:
        return [part async for part in SKILLS.reply(prompt)]

    schemas = {tool.name: tool.parameters for tool in prompt.tools}
    answer: Answer = []
    for part in asyncio.run(collect()):
        if isinstance(part, str):
            answer.append(part)
            continue
        arguments = json.loads(part.arguments)
        jsonschema.validate(arguments, schemas[part.name])
        assert part.call_id == ""
        answer.append((part.name, arguments))
    return answer


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("What's the weather in Paris?", "get_weather", {"city": "Paris"}),
        ("whats the weather in paris", "get_weather", {"city": "Paris"}),
        ("How's the weather in New York today?", "get_weather", {"city": "New York"}),
        ("Is it raining in London?", "get_weather", {"city": "London"}),
        ("What's London's weather like?", "get_weather", {"city": "London"}),
        ("Paris weather, please.", "get_weather", {"city": "Paris"}),
        ("In Paris, what's the weather?", "get_weather", {"city": "Paris"}),
        ("Weather for Saint-Étienne", "get_weather", {"city": "Saint-Étienne"}),
        ("The weather in Rio de Janeiro", "get_weather", {"city": "Rio de Janeiro"}),
        ("The weather in Paris, Texas.", "get_weather", {"city": "Paris, Texas"}),
        ("Where is my order 4 5 1 7?", "lookup_order", {"order_number": "4517"}),
        ("order forty-two", "lookup_order", {"order_number": "42"}),
        ("Can you check order A-17?", "lookup_order", {"order_number": "A-17"}),
        (
            "Where's my order? The number is four five one seven.",
            "lookup_order",
            {"order_number": "4517"},
        ),
        ("Where is the parcel 1 2 3?", "lookup_order", {"order_number": "123"}),
        ("Cancel order number 98.", "cancel_order", {"order_id": 98}),
        (
            "Turn on the kitchen light.",
            "set_light",
            {"room": "kitchen", "on": True},
        ),
        (
            "Turn the lights off in the living room",
            "set_light",
            {"room": "living_room", "on": False},
        ),
        (
            "Book a table for four tomorrow at seven pm.",
            "bookTable",
            {"date": "2026-11-23", "time": "19:00", "partySize": 4},
        ),
        (
            "I'd like to book a table for two on Friday under the name Smith",
            "bookTable",
            {"date": "2026-11-27", "partySize": 2, "name": "Smith"},
        ),
        (
            "A table for 3 people on December 24th at half past six in the evening",
            "bookTable",
            {"date": "2026-12-24", "time": "18:30", "partySize": 3},
        ),
        (
            "Send an email to Bob saying the order is late and the refund is coming.",
            "send_email",
            {"to": "Bob", "body": "The order is late and the refund is coming"},
        ),
        (
            "Email bob at example dot com about lunch saying see you at noon",
            "send_email",
            {"to": "bob@example.com", "subject": "lunch", "body": "See you at noon"},
        ),
        (
            "Send a mail to anna@example.com and tell her that I am late",
            "send_email",
            {"to": "anna@example.com", "body": "I am late"},
        ),
        ("Search the web for red shoes.", "search_web", {"query": "red shoes"}),
        (
            "Find me a good restaurant in Rome",
            "search_web",
            {"query": "a good restaurant in Rome"},
        ),
        ("Set a timer for five minutes.", "set_timer", {"seconds": 300}),
        ("Set a timer for an hour and a half", "set_timer", {"seconds": 5400}),
        ("Timer, two minutes and ten seconds", "set_timer", {"seconds": 130}),
        ("Calculate twelve times seven.", "calculator", {"expression": "12 * 7"}),
        ("Set the volume to thirty.", "set_volume", {"level": 30}),
        ("Make it louder, volume 80", "set_volume", {"level": 80}),
        ("Play some jazz.", "play-music", {"genre": "jazz"}),
        (
            "Play jazz by Miles Davis",
            "play-music",
            {"genre": "jazz", "artist": "Miles Davis"},
        ),
        (
            "Add milk, eggs and bread to my shopping list.",
            "add_to_shopping_list",
            {"items": ["milk", "eggs", "bread"]},
        ),
        (
            "Please put apples on my list",
            "add_to_shopping_list",
            {"items": ["apples"]},
        ),
        (
            "Find flights from Paris to Rome on December third",
            "search_flights",
            {
                "origin": "Paris",
                "destination": "Rome",
                "date": "2026-12-03",
                "cabin": None,
            },
        ),
        (
            "A business flight from New York to San Francisco tomorrow",
            "search_flights",
            {
                "origin": "New York",
                "destination": "San Francisco",
                "date": "2026-11-23",
                "cabin": "business",
            },
        ),
        (
            "Convert twenty dollars from USD to EUR",
            "convert_currency",
            {"amount": 20, "from_currency": "USD", "to_currency": "EUR"},
        ),
        (
            "Convert 20 and a half... no, 25.5 to GBP from EUR",
            "convert_currency",
            {"amount": 20, "from_currency": "EUR", "to_currency": "GBP"},
        ),
        (
            "Set the temperature to twenty one point five degrees",
            "setThermostat",
            {"temperature": 21.5},
        ),
        ("Lock the door.", "lock_door", {"locked": True}),
        ("Unlock the front door, please.", "lock_door", {"locked": False}),
        (
            "Remind me to call mum tomorrow at 9 am",
            "create_reminder",
            {"text": "Call mum tomorrow at 9 am", "at": "2026-11-23T09:00:00"},
        ),
        (
            "Order a large pizza with ham and olives and extra cheese",
            "order_pizza",
            {
                "pizza": {
                    "size": "large",
                    "toppings": ["ham", "olives"],
                    "extra_cheese": True,
                },
                "quantity": 1,
                "address": None,
            },
        ),
        ("Call Anna.", "call_contact", {"contact_name": "Anna"}),
        ("could you call bob", "call_contact", {"contact_name": "Bob"}),
        ("What's the server status?", "get_server_status", {}),
        ("I want to talk to billing.", "transfer_to_billing", {}),
        ("Transfer me to the refund agent", "transfer_to_refund_agent", {}),
        ("I want my money back, a refund", "transfer_to_refund_agent", {}),
        ("I need to speak to a human.", "transfer_to_support", {}),
    ],
)
def test_what_is_asked_for_is_called(
    text: str, name: str, arguments: dict[str, Any]
) -> None:
    assert ask(text) == [(name, arguments)]


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("What time is it?", "It is 10:08 PM."),
        ("What day is it today?", "Today is Sunday"),
        ("How many feet are in a mile?", "1 mile is 5,280 feet."),
        ("What is two plus two?", "2 plus 2 is 4."),
        ("Hello there.", "Hello!"),
        ("Thank you for the weather.", "You are welcome."),
        ("Repeat after me, what's the weather in Paris?", "What's the weather"),
        ("How do you spell weather?", "Weather: W"),
        ("Cancel that.", "All right."),
        ("Don't turn on the kitchen light.", "I am a small"),
        ("I left the kitchen light on yesterday.", "I am a small"),
        ("I am in the kitchen.", "I am a small"),
        ("Tell me a joke.", "I am a small"),
        ("Delete my account.", "I am a small"),
        ("Transfer me to sales.", "I am a small"),
        ("What is the best time to visit Rome?", "I am a small"),
        ("", "Sorry"),
        ("?!", "Sorry"),
    ],
)
def test_what_needs_no_tool_is_answered_without(text: str, begin: str) -> None:
    answer = ask(text)
    assert isinstance(answer[0], str)
    assert answer[0].startswith(begin)
    assert not any(isinstance(part, tuple) for part in answer)


def test_several_calls() -> None:
    weather = [("get_weather", {"city": city}) for city in ("Paris", "Rome", "Berlin")]
    assert ask("What's the weather in Paris and in Rome?") == weather[:2]
    assert ask("The weather in Paris, Rome and Berlin") == weather
    assert ask("The weather in Paris and in Rome", parallel=False) == weather[:1]
    light = ("set_light", {"room": "bedroom", "on": True})
    assert ask("Weather in Paris, and turn on the bedroom light.") == [
        weather[0],
        light,
    ]
    assert ask("Turn on the bedroom light and turn off the kitchen light") == [
        light,
        ("set_light", {"room": "kitchen", "on": False}),
    ]
    assert ask("Turn on the kitchen and bedroom lights") == [
        ("set_light", {"room": "kitchen", "on": True}),
        light,
    ]


def test_words_go_before_calls() -> None:
    weather = ("get_weather", {"city": "Paris"})
    both = "What is two plus two, and what's the weather in Paris?"
    assert ask(both) == ["2 plus 2 is 4.", weather]
    both = "What's the weather in Paris and what time is it?"
    assert ask(both) == ["It is 10:08 PM.", weather]
    both = "Turn on the kitchen light and tell me the weather"
    assert ask(both) == ["Which city?", ("set_light", {"room": "kitchen", "on": True})]


def test_a_clause_may_say_more_about_the_same_call() -> None:
    text = "Book a table, please. The table is for two, for tomorrow."
    arguments = {"date": "2026-11-23", "partySize": 2}
    assert ask(text) == [("bookTable", arguments)]


@pytest.mark.parametrize(
    ("said", "name", "arguments"),
    [
        (
            ["What's the weather?", "Which city?", "Paris."],
            "get_weather",
            {"city": "Paris"},
        ),
        (
            ["What's the weather?", "It is late. Which city?", "in paris please"],
            "get_weather",
            {"city": "Paris"},
        ),
        (
            ["The weather?", "Which city?", "It's New York."],
            "get_weather",
            {"city": "New York"},
        ),
        (
            ["Cancel my order", "Which order id?", "four five one seven"],
            "cancel_order",
            {"order_id": 4517},
        ),
        (
            ["Play music", "Which genre?", "Something like jazz"],
            "play-music",
            {"genre": "Something like jazz"},
        ),
        (
            [
                "Turn on the light",
                "Which room: kitchen, living room or bedroom?",
                "the living room",
            ],
            "set_light",
            {"room": "living_room", "on": True},
        ),
        (["The kitchen light", "On, yes or no?", "Yes."], "set_light", None),
        (
            [
                "Book a table",
                "Which date?",
                "tomorrow at seven",
                "Which party size, from 1 to 12?",
                "four",
            ],
            "bookTable",
            {"date": "2026-11-23", "time": "07:00", "partySize": 4},
        ),
        (
            ["Email Bob", "What should the body be?", "I will be late."],
            "send_email",
            {"to": "Bob", "body": "I will be late"},
        ),
        (
            ["The weather?", "Which city?", "Turn on the kitchen light"],
            "set_light",
            {"room": "kitchen", "on": True},
        ),
    ],
)
def test_answers_to_questions_complete_a_call(
    said: list[str], name: str, arguments: dict[str, Any] | None
) -> None:
    expected = arguments or {"room": "kitchen", "on": True}
    question = ask(*said[:1])[-1]
    assert isinstance(question, str)
    assert question in said[1]
    assert ask(*said) == [(name, expected)]


@pytest.mark.parametrize(
    ("said", "begin"),
    [
        (["The weather?", "Which city?", "Never mind."], "All right."),
        (["The weather?", "Which city?", "What time is it?"], "It is 10:08 PM."),
        (["The weather?", "Which city?", "Why do you ask?"], "I am a small"),
        (["The weather?", "Which planet?", "Paris"], "I am a small"),
        (["Hello.", "Which city?", "Paris"], "I am a small"),
        (["Set the volume", "Which level, from 0 to 100?", "200"], "Which level"),
        (
            ["A light", "Which room: kitchen, living room or bedroom?", "The cellar"],
            "Which room",
        ),
    ],
)
def test_other_answers_to_questions_call_nothing(said: list[str], begin: str) -> None:
    answer = ask(*said)
    assert isinstance(answer[0], str)
    assert answer[0].startswith(begin)


def test_a_question_stays_open_while_tools_run() -> None:
    turns = (
        Turn("user", "Turn on the kitchen light and tell me the weather"),
        Turn("assistant", "Which city?"),
        ToolCall("set_light", "{}", "call_1"),
        ToolOutput("call_1", "Done."),
        Turn("assistant", "Done."),
        Turn("system", "The caller is in a hurry."),
        Turn("user", "Paris"),
    )
    assert parts_of(Prompt("", turns, ALL)) == [("get_weather", {"city": "Paris"})]


@pytest.mark.parametrize("text", ["", "Hello there.", "Book a table", "Don't."])
@pytest.mark.parametrize("only", ALL, ids=lambda tool: tool.name)
def test_a_tool_that_must_be_called_is(only: Tool, text: str) -> None:
    [call] = ask(text, tools=(only,), must_call=True)
    assert call[0] == only.name


def test_what_must_be_called_is_the_best() -> None:
    assert ask("What's the weather in Paris?", must_call=True) == [
        ("get_weather", {"city": "Paris"})
    ]
    assert ask("Hello", tools=(ORDER, WEATHER), must_call=True) == [
        ("lookup_order", {"order_number": ""})
    ]
    assert parts_of(Prompt("", (), (WEATHER,), must_call=True)) == [
        ("get_weather", {"city": ""})
    ]


NODE = {
    "type": "object",
    "properties": {
        "name": STRING,
        "next": {"anyOf": [{"$ref": "#/$defs/Node"}, NULL]},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
    },
    "required": ["name", "next"],
}
DEEP: dict[str, Any] = STRING
for _ in range(30):
    DEEP = {"type": "object", "properties": {"inner": DEEP}, "required": ["inner"]}
TWICE = {
    f"L{at}": {
        "type": "object",
        "properties": {
            side: {"$ref": f"#/$defs/L{at + 1}"} for side in ("left", "right")
        },
    }
    for at in range(60)
}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"type": "object"},
        {"type": "object", "properties": {}, "additionalProperties": False},
        {"properties": {"level": {"enum": [1, 2, 3]}}, "required": ["level"]},
        {"properties": {"level": {}}, "required": ["level"]},
        {"properties": {"level": True}, "required": []},
        {"properties": {"größe": STRING, "名前": STRING}, "required": ["größe"]},
        {"properties": {"a": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": NODE}},
        {**NODE, "$defs": {"Node": NODE}},
        DEEP,
        {"properties": {"l": {"$ref": "#/$defs/L0"}}, "$defs": TWICE},
        {"properties": {"x": {"$ref": "#/$defs/Nowhere"}}, "$defs": {}},
    ],
)
@pytest.mark.parametrize("name", ["frobnicate", "x", "9", "größe_holen", "---", "名前"])
def test_odd_tools_do_no_harm(parameters: dict[str, Any], name: str) -> None:
    odd = Tool(name, "", parameters)
    where = "#/$defs/Nowhere" in str(parameters)
    for text in ("What's the weather in Paris?", "frobnicate 2", "größe holen L"):
        assert ask(text, tools=(odd, WEATHER))
        if not where:
            assert len(ask(text, tools=(odd,), must_call=True)) == 1


def test_enumerations_of_numbers() -> None:
    gear = tool("shift_gear", "", level={"enum": [1, 2, 3]})
    assert ask("Shift to gear two", tools=(gear,)) == [("shift_gear", {"level": 2})]
    assert ask("Shift the gear", tools=(gear,)) == ["Which level: 1, 2 or 3?"]


def test_the_right_one_of_a_hundred() -> None:
    many = tuple(
        tool(f"get_{noun}_{at}", f"Get the {noun} of a planet.", planet=STRING)
        for at in range(20)
        for noun in ("mass", "orbit", "moons", "colour", "age")
    )
    assert ask("What's the weather in Paris?", tools=(*many, WEATHER)) == [
        ("get_weather", {"city": "Paris"})
    ]


def test_answers_take_milliseconds() -> None:
    texts = [
        "What's the weather in Paris, and turn on the kitchen light?",
        "Tell me a joke about something that no tool knows anything about.",
    ]
    for text in texts:
        ask(text)
    best = min(_seconds(text) for text in texts * 5)
    assert best < 0.02  # 2 ms on a machine that does nothing else


@pytest.mark.parametrize(
    "text", ["word " * 4000, "Paris, " * 3000, "1 " * 5000, "in " * 5000, "A-" * 5000]
)
def test_long_texts_take_no_longer_than_they_must(text: str) -> None:
    assert _seconds(f"The weather {text}") < 2


def _seconds(text: str) -> float:
    started = time.thread_time()
    ask(text)
    return time.thread_time() - started


def test_the_last_call_may_be_made_again_with_other_words() -> None:
    light = json.dumps({"room": "kitchen", "on": True, "level": "old"})
    turns = (
        Turn("user", "Turn on the kitchen light"),
        ToolCall("set_light", light, "call_1"),
        ToolOutput("call_1", "Done."),
        Turn("assistant", "Done."),
    )
    bedroom = Prompt("", (*turns, Turn("user", "And the bedroom?")), ALL)
    assert parts_of(bedroom) == [("set_light", {"room": "bedroom", "on": True})]
    clock = Prompt("", (*turns, Turn("user", "And what time is it?")), ALL)
    assert parts_of(clock) == ["It is 10:08 PM."]


def test_a_tool_that_takes_questions_takes_those_that_nobody_answers() -> None:
    assert ask("How many bags can I bring?", tools=(FAQ, WEATHER)) == [
        ("ask_docs", {"question": "How many bags can I bring"})
    ]
    assert ask("What time is it?", tools=(FAQ,)) == ["It is 10:08 PM."]
    assert ask("Tell me a joke.", tools=(FAQ,))[1] == "I heard: Tell me a joke."


def test_a_skill_answers_rather_than_a_question_is_asked() -> None:
    clock = tool("get_time", "Tell the time.", timezone=STRING)
    assert ask("What time is it?", tools=(clock,)) == ["It is 10:08 PM."]
    assert ask("What time is it in Tokyo?", tools=(clock,)) == [
        ("get_time", {"timezone": "Tokyo"})
    ]
