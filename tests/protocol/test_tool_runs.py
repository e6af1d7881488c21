from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offhook.protocol.entries import Entry
from offhook.protocol.tool_runs import ToolRuns

if TYPE_CHECKING:
    from tests.protocol.driver import Event


def called(call_id: str = "call_1", name: str = "look") -> Event:
    item = {"type": "function_call", "call_id": call_id, "name": name}
    return {
        "type": "response.output_item.done",
        "item": {**item, "arguments": '{"where":"here"}'},
    }


def returned(call_id: str = "call_1", output: Any = "a cat") -> Event:
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    return {"type": "conversation.item.added", "item": item}


def test_a_tool_runs_from_its_call_to_its_output() -> None:
    runs = ToolRuns()
    assert runs.take(called(), 100) == []
    assert runs.take(returned(), 350) == [
        Entry(
            "tool",
            "model",
            100,
            350,
            "look",
            {
                "call_id": "call_1",
                "name": "look",
                "arguments": '{"where":"here"}',
                "output": "a cat",
            },
        )
    ]
    assert runs.take(returned(), 360) == []


def test_a_tool_of_an_mcp_server_runs_as_long_as_its_item_is_made() -> None:
    runs = ToolRuns()
    item = {"type": "mcp_call", "id": "mcp_1", "name": "roll", "server_label": "dice"}
    runs.take({"type": "response.output_item.added", "item": item}, 100)
    done = {**item, "arguments": "{}", "output": "6", "error": None}
    (told,) = runs.take({"type": "response.output_item.done", "item": done}, 300)
    assert (told.text, told.begins_ms, told.ends_ms) == ("roll", 100, 300)
    assert told.data == {
        "name": "roll",
        "server_label": "dice",
        "arguments": "{}",
        "output": "6",
    }


def test_an_mcp_tool_that_failed_says_so() -> None:
    item = {"type": "mcp_call", "id": "mcp_1", "name": "roll", "error": {"code": 1}}
    done = {"type": "response.output_item.done", "item": item}
    (told,) = ToolRuns().take(done, 300)
    assert told.data == {"name": "roll", "failed": True}


def test_a_tool_without_an_output_is_told_in_the_end() -> None:
    runs = ToolRuns()
    runs.take(called(), 100)
    (told,) = runs.end(900)
    assert (told.ends_ms, "output" in told.data) == (900, False)


def test_running_tools_are_bounded() -> None:
    runs = ToolRuns()
    told = [runs.take(called(str(n)), n) for n in range(100)]
    assert sum(map(len, told)) == 68


def test_an_output_that_nobody_called_for_is_nothing() -> None:
    assert ToolRuns().take(returned(output=[1]), 10) == []
