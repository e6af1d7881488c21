from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.driver import Driver, kinds

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
LIGHT = {"type": "function", "name": "set_light"}


@pytest.mark.parametrize(
    ("choice", "names", "must_call"),
    [
        ("auto", ["get_weather", "set_light"], False),
        ("none", [], False),
        ("required", ["get_weather", "set_light"], True),
        ({"type": "function", "name": "set_light"}, ["set_light"], True),
    ],
)
@pytest.mark.parametrize("level", ["session", "response"])
def test_a_choice_of_tools(
    choice: Any, names: list[str], must_call: bool, level: str
) -> None:
    driver = Driver()
    settings = {"tools": [WEATHER, LIGHT], "tool_choice": choice}
    if level == "session":
        driver.update(**settings)
        driver.receive("response.create")
    else:
        driver.receive("response.create", response=settings)
    prompt = driver.answers[0].prompt
    assert [tool.name for tool in prompt.tools] == names
    assert prompt.must_call == must_call


def test_a_choice_that_cannot_be_met() -> None:
    driver = Driver()
    choice = {"type": "function", "name": "nothing"}
    [refused] = driver.receive("response.create", response={"tool_choice": choice})
    assert refused["error"]["param"] == "response.tool_choice"
    # A session's choice may be older than its tools: an answer is better than none.
    driver.update(tool_choice=choice)
    assert kinds(driver.receive("response.create")) == ["response.created"]
    assert not driver.answers[0].prompt.must_call


def test_tools_without_description_and_parameters() -> None:
    driver = Driver()
    driver.update(tools=[LIGHT])
    driver.receive("response.create")
    [tool] = driver.answers[0].prompt.tools
    assert (tool.description, tool.parameters) == ("", {})


@pytest.mark.parametrize("parallel", [True, False])
def test_one_call_at_a_time_where_the_client_wants_it(parallel: bool) -> None:
    driver = Driver()
    driver.update(tools=[WEATHER, LIGHT], parallel_tool_calls=parallel)
    driver.receive("response.create")
    assert driver.answers[0].prompt.parallel == parallel
    driver.call("get_weather", finish=False)
    driver.call("set_light", finish=False)
    driver.endpoint.finish(driver.answers[0].response_id)
    response = driver.drain()[-2]["response"]
    assert len(response["output"]) == (2 if parallel else 1)


def test_nothing_is_called_that_was_not_offered() -> None:
    driver = Driver()
    driver.update(tools=[WEATHER])
    driver.receive("response.create")
    assert driver.call("set_light", finish=False) == []


def test_what_a_response_says_of_itself() -> None:
    driver = Driver()
    [created] = driver.receive(
        "response.create",
        response={
            "metadata": {"a": "b"},
            "max_output_tokens": 7,
            "output_modalities": ["text"],
            "conversation": "none",
            "audio": {"output": {"voice": "cedar", "format": {"type": "audio/pcmu"}}},
        },
    )
    response = created["response"]
    assert response["metadata"] == {"a": "b"}
    assert response["max_output_tokens"] == 7
    assert response["output_modalities"] == ["text"]
    assert response["conversation_id"] is None
    ulaw = {"type": "audio/pcmu"}
    assert response["audio"]["output"] == {"voice": "cedar", "format": ulaw}
