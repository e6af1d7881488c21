from __future__ import annotations

from typing import Any

import pytest

from offhook.protocol.prompt import Tool, ToolCall, ToolOutput
from tests.protocol.driver import Driver, Event, kinds

DICE = {
    "type": "mcp",
    "server_label": "dice",
    "server_url": "http://127.0.0.1:1/mcp",
    "require_approval": "never",
}
ROLL = {
    "name": "roll",
    "description": "Roll the dice",
    "input_schema": {"type": "object", "properties": {"sides": {"type": "integer"}}},
}
LISTED = ["mcp_list_tools.completed", "conversation.item.done"]
CALLED = ["response.output_item.done", "conversation.item.done"]


def table(**tool: Any) -> Driver:
    """A session with a server whose tools are known."""
    driver = Driver()
    driver.update(tools=[{**DICE, **tool}], output_modalities=["text"])
    driver.endpoint.listed(driver.lists[-1].item_id, [ROLL])
    driver.drain()
    return driver


def asked(driver: Driver, **response: Any) -> Event:
    """Let a response call the tool; returns its mcp_call item."""
    driver.receive("response.create", response=response)
    events = driver.call("roll", '{"sides":6}')
    [done] = [event for event in events if event["type"] == "response.done"]
    [item] = done["response"]["output"]
    return dict(item)


def test_a_server_is_asked_for_its_tools_once() -> None:
    driver = Driver()
    events = driver.update(tools=[DICE])
    assert kinds(events) == [
        "session.updated",
        "conversation.item.added",
        "mcp_list_tools.in_progress",
    ]
    added, progress = events[1:]
    assert added["item"]["tools"] == []
    assert added["item"]["id"] == progress["item_id"]
    # Clients ask for the item as soon as they know of it.
    [retrieved] = driver.receive(
        "conversation.item.retrieve", item_id=progress["item_id"]
    )
    assert retrieved["item"]["server_label"] == "dice"
    [asked_for] = driver.lists
    assert asked_for.server.url == DICE["server_url"]
    driver.endpoint.listed(asked_for.item_id, [ROLL])
    completed, done = driver.drain()
    assert [completed["type"], done["type"]] == LISTED
    assert done["item"]["tools"] == [ROLL]
    assert kinds(driver.update(tools=[DICE])) == ["session.updated"]
    assert kinds(driver.update(tools=[{"type": "mcp", "server_label": "dice"}])) == [
        "session.updated"
    ]


def test_a_server_that_changes_is_asked_again() -> None:
    driver = table()
    driver.update(tools=[{**DICE, "server_url": "http://127.0.0.1:2/mcp"}])
    assert [e.server.url[-6:] for e in driver.lists] == [":1/mcp", ":2/mcp"]


def test_a_server_that_does_not_answer() -> None:
    driver = Driver()
    driver.update(tools=[DICE])
    driver.endpoint.unlisted(driver.lists[0].item_id)
    failed, done = driver.drain()
    assert failed["type"] == "mcp_list_tools.failed"
    assert done["item"]["tools"] == []


def test_keys_of_servers_are_not_shown() -> None:
    driver = Driver()
    secret = {"authorization": "hush", "headers": {"X-Key": "hush"}}
    [updated, *_] = driver.update(tools=[{**DICE, **secret}])
    assert "hush" not in str(updated)
    assert updated["session"]["tools"][0]["server_label"] == "dice"
    assert driver.lists[0].server.headers["authorization"] == "Bearer hush"
    assert "hush" not in repr(driver.lists)


def test_the_responder_is_offered_what_is_allowed() -> None:
    driver = table(allowed_tools=["roll"])
    driver.receive("response.create")
    [tool] = driver.answers[0].prompt.tools
    assert tool == Tool("roll", "Roll the dice", ROLL["input_schema"])  # type: ignore[arg-type]  # a dict of JSON
    driver = table(allowed_tools=["other"])
    driver.receive("response.create")
    assert driver.answers[0].prompt.tools == ()


def test_a_response_is_done_before_its_tool_runs() -> None:
    driver = table()
    driver.receive("response.create")
    events = driver.call("roll", '{"sides":6}')
    assert kinds(events) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.done",
        "rate_limits.updated",
        "response.mcp_call.in_progress",
    ]
    [call] = driver.calls
    assert (call.name, call.arguments, call.server.label) == (
        "roll",
        '{"sides":6}',
        "dice",
    )
    driver.endpoint.returned(call.item_id, "a four")
    completed, conversation_done, output_done = driver.drain()
    assert completed["type"] == "response.mcp_call.completed"
    assert [output_done["type"], conversation_done["type"]] == CALLED
    assert output_done["item"] == conversation_done["item"]
    assert output_done["item"]["output"] == "a four"
    assert output_done["item"]["error"] is None
    driver.receive("response.create")
    called, returned = driver.answers[-1].prompt.turns
    assert isinstance(called, ToolCall)
    assert returned == ToolOutput(called.call_id, "a four")


def test_a_tool_that_fails() -> None:
    driver = table()
    item = asked(driver)
    error = {"type": "http_error", "code": 503, "message": "gone"}
    driver.endpoint.failed(item["id"], error)
    events = driver.drain()
    assert events[0]["type"] == "response.mcp_call.failed"
    assert events[-1]["item"]["error"] == error
    driver.receive("response.create")
    assert driver.answers[-1].prompt.turns[-1] == ToolOutput(item["id"], "gone")


@pytest.mark.parametrize("approve", [True, False])
def test_a_call_waits_for_approval(approve: bool) -> None:
    driver = table(require_approval="always")
    driver.receive("response.create")
    events = driver.call("roll", '{"sides":6}')
    assert kinds(events)[-3:] == [
        "rate_limits.updated",
        "conversation.item.added",
        "conversation.item.done",
    ]
    request = events[-1]["item"]
    assert (request["type"], request["name"]) == ("mcp_approval_request", "roll")
    assert driver.calls == []
    answer = {
        "type": "mcp_approval_response",
        "approval_request_id": request["id"],
        "approve": approve,
    }
    events = driver.receive("conversation.item.create", item=answer)
    assert kinds(events)[:2] == ["conversation.item.added", "conversation.item.done"]
    if approve:
        assert events[-1]["type"] == "response.mcp_call.in_progress"
        driver.endpoint.returned(driver.calls[0].item_id, "a six")
        item = driver.drain()[-1]["item"]
        assert item["approval_request_id"] == request["id"]
    else:
        assert events[2]["type"] == "response.mcp_call.failed"
        assert events[-1]["item"]["error"]["type"] == "tool_execution_error"
        assert driver.calls == []
    [again] = driver.receive("conversation.item.create", item=answer)
    assert again["error"]["param"] == "item.approval_request_id"


def test_a_refusal_may_give_a_reason() -> None:
    driver = table(require_approval={"never": {"tool_names": ["other"]}})
    asked(driver)
    request = driver.sent[-1]["item"]
    answer = {
        "type": "mcp_approval_response",
        "approval_request_id": request["id"],
        "approve": False,
        "reason": "too risky",
    }
    events = driver.receive("conversation.item.create", item=answer)
    assert "too risky" in events[-1]["item"]["error"]["message"]


def test_who_is_not_wanted_any_more_is_not_called() -> None:
    driver = table(require_approval="always")
    asked(driver)
    request = driver.sent[-1]["item"]
    events = driver.update(tools=[])
    assert "response.mcp_call.failed" in kinds(events)
    answer = {
        "type": "mcp_approval_response",
        "approval_request_id": request["id"],
        "approve": True,
    }
    [refused] = driver.receive("conversation.item.create", item=answer)
    assert refused["error"]["param"] == "item.approval_request_id"
    assert driver.calls == []


def test_what_was_cancelled_is_not_run() -> None:
    driver = table()
    driver.receive("response.create")
    driver.call("roll", finish=False)
    events = driver.receive("response.cancel")
    assert "response.mcp_call.failed" in kinds(events)
    assert driver.calls == []


def test_a_response_waits_for_tools_of_its_own() -> None:
    driver = Driver()
    driver.update(output_modalities=["text"])
    events = driver.receive("response.create", response={"tools": [DICE]})
    assert kinds(events)[-1] == "response.created"
    assert driver.answers == []
    driver.endpoint.listed(driver.lists[0].item_id, [ROLL])
    driver.drain()
    assert [tool.name for tool in driver.answers[0].prompt.tools] == ["roll"]


def test_what_nobody_waits_for_is_passed_over() -> None:
    driver = table()
    item = asked(driver)
    driver.endpoint.returned(item["id"], "a four")
    driver.drain()
    driver.endpoint.returned(item["id"], "twice")
    driver.endpoint.failed("item_x", {"type": "tool_execution_error", "message": ""})
    driver.endpoint.listed("item_x", [])
    driver.endpoint.unlisted("item_x")
    assert driver.drain() == []
