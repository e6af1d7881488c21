from __future__ import annotations

from typing import Any

import pytest
from agents import HostedMCPTool, WebSearchTool, function_tool
from agents.realtime import RealtimeAgent, realtime_handoff

from offhook.agent.settings import config, config_over, first_config
from offhook.errors import InvalidRequest
from offhook.protocol.client_config import session_update

PCM = {"type": "audio/pcm", "rate": 24000}


@function_tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def test_what_is_left_out_is_as_in_the_sdk() -> None:
    session = first_config({}, beside_call=False)
    assert session["output_modalities"] == ["audio"]
    heard, spoken = session["audio"]["input"], session["audio"]["output"]
    assert (heard["format"], spoken["format"]) == (PCM, PCM)
    assert heard["turn_detection"]["type"] == "semantic_vad"
    assert spoken["voice"] == "ash"
    beside = first_config({}, beside_call=True)["audio"]
    assert "format" not in beside["input"]
    assert "format" not in beside["output"]


def test_both_vocabularies_without_a_warning() -> None:
    settings = {
        "model_name": "gpt-realtime",
        "voice": "echo",
        "output_audio_format": "g711_ulaw",
        "speed": 1.1,
        "max_output_tokens": 100,
        "parallel_tool_calls": False,
        "audio": {
            "input": {"format": "pcmu", "turn_detection": None},
            "output": {"voice": "cedar"},
        },
    }
    asked = first_config(settings, beside_call=False)
    session, warnings = session_update(asked)
    assert warnings == []
    assert session["model"] == "gpt-realtime"
    assert session["max_output_tokens"] == 100
    assert session["parallel_tool_calls"] is False
    heard, spoken = session["audio"]["input"], session["audio"]["output"]
    assert heard["format"] == {"type": "audio/pcmu"}
    assert heard["turn_detection"] is None
    assert spoken == {"format": {"type": "audio/pcmu"}, "voice": "cedar", "speed": 1.1}


def test_tools_and_handoffs() -> None:
    billing: RealtimeAgent[Any] = RealtimeAgent(name="Billing")
    off = function_tool(lambda: "", name_override="off", is_enabled=False)
    handoffs = [realtime_handoff(billing)]
    session = config({"tools": [add, off], "handoffs": handoffs})
    assert [tool["name"] for tool in session["tools"]] == ["add", "transfer_to_billing"]
    assert session["tools"][0]["description"] == "Add two numbers."
    assert {*session["tools"][0]["parameters"]["properties"]} == {"a", "b"}
    assert config({}) == {}
    with pytest.raises(InvalidRequest, match="neither a function"):
        config({"tools": [WebSearchTool()]})


def test_hosted_mcp_servers_go_as_they_are() -> None:
    server: Any = {"type": "mcp", "server_label": "dice", "server_url": "https://a.b"}
    given: Any = {**server, "headers": None, "allowed_tools": ["roll"]}
    asked = config({"tools": [HostedMCPTool(given)]})
    assert asked["tools"] == [{**server, "allowed_tools": ["roll"]}]


def test_a_stored_prompt_has_its_own_tools_and_instructions() -> None:
    prompt = {"id": "pmpt_1"}
    settings = {"prompt": prompt, "instructions": "", "tools": [], "handoffs": []}
    assert config(settings) == {"prompt": prompt}
    asked = config({**settings, "instructions": "Sing.", "tools": [add]})
    assert asked["instructions"] == "Sing."
    assert len(asked["tools"]) == 1


def test_agents_go_over_what_is_given() -> None:
    given = {
        "type": "realtime",
        "instructions": "Be brief.",
        "tools": [{"type": "mcp", "server_label": "dice"}],
        "audio": {"output": {"voice": "ash"}},
    }
    settings = {"instructions": "", "tools": [add], "handoffs": [], "tracing": None}
    session = config_over(settings, given)
    assert session["instructions"] == "Be brief."
    assert [tool.get("name") for tool in session["tools"]] == [None, "add"]
    assert session["audio"] == {"output": {"voice": "ash"}}
    assert len(given["tools"]) == 1
    own = config_over({**settings, "instructions": "Sing."}, given)
    assert own["instructions"] == "Sing."
    # Later, only what belongs to an agent.
    assert "audio" not in config(settings, beside=given)
