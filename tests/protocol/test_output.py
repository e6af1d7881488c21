from __future__ import annotations

import copy
from typing import Any

from offhook.protocol.output import Output, Place, call_function, call_tool
from offhook.protocol.prompt import ToolCall
from tests.protocol.driver import Event, kinds

ARGUMENTS = '{"city":"Paris","days":[1,2,3]}'


class Stage:
    """A place in a conversation, and what was sent from there."""

    def __init__(self, *, apart: bool = False) -> None:
        self.sent: list[Event] = []
        add = None if apart else lambda item: "item_0"
        self.place = Place(self.sent.append, "resp_1", 3, add)


def test_a_function_call_is_announced_empty_and_ends_complete() -> None:
    stage = Stage()
    call_function(stage.place, "item_1", ToolCall("look", ARGUMENTS, "call_1"))
    added, _, *deltas, done, conversation_done, output_done = stage.sent
    # Clients would run a call twice that is complete from the beginning.
    assert (added["item"]["status"], added["item"]["arguments"]) == ("in_progress", "")
    assert "".join(delta["delta"] for delta in deltas) == ARGUMENTS
    assert (done["arguments"], done["name"], done["call_id"]) == (
        ARGUMENTS,
        "look",
        "call_1",
    )
    assert conversation_done["item"] == output_done["item"]
    assert output_done["item"]["status"] == "completed"
    assert {e["output_index"] for e in stage.sent if "output_index" in e} == {3}


def test_beside_the_conversation_there_are_no_events_of_it() -> None:
    stage = Stage(apart=True)
    call_function(stage.place, "item_1", ToolCall("look", "{}", "call_1"))
    assert not [k for k in kinds(stage.sent) if k.startswith("conversation.")]


def test_a_call_of_a_server_s_tool_stays_open() -> None:
    stage = Stage()
    output = call_tool(stage.place, "item_1", "server", ToolCall("look", ARGUMENTS))
    assert kinds(stage.sent)[-1] == "response.mcp_call_arguments.done"
    assert "status" not in output.item
    output.progress("in_progress")
    assert stage.sent[-1]["output_index"] == 3
    output.close("completed")
    assert "status" not in stage.sent[-1]["item"]


def test_an_end_is_told_once_and_stays_as_it_was() -> None:
    stage = Stage()
    item: dict[str, Any] = {"id": "item_1", "type": "message", "status": "in_progress"}
    output = Output(stage.place, item)
    output.close("incomplete")
    before = copy.deepcopy(stage.sent)
    output.close("completed")
    item["status"] = "changed"
    assert stage.sent == before
    assert not output.open
