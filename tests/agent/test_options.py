from __future__ import annotations

from typing import Any

import pytest
from agents import Agent
from agents.realtime import RealtimeAgent

from offhook.agent.options import (
    agent_of,
    config_of,
    settings_of,
    tracing_of,
    transport_of,
)
from offhook.errors import InvalidRequest
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from tests.extras import without

AGENT: RealtimeAgent[Any] = RealtimeAgent(name="Greeter", instructions="Be brief.")


@pytest.mark.parametrize(
    "config",
    [
        {"audio": {"output": {"voice": "ash"}}, "output_modalities": ["text"]},
        {"audio": {"output": {"voice": "ash"}}, "outputModalities": ["text"]},
        {"voice": "ash", "modalities": ["text"]},
    ],
)
def test_three_vocabularies_say_the_same(config: dict[str, Any]) -> None:
    given = config_of(config, AGENT)
    assert given["output_modalities"] == ["text"]
    assert given["audio"] == {"output": {"voice": "ash"}}


def test_what_is_wrong_is_told(caplog: pytest.LogCaptureFixture) -> None:
    config_of({"voice": "ash", "audio": {"output": {"voice": "echo"}}}, AGENT)
    assert "'voice' is ignored" in caplog.text
    config_of({"instructions": "Sing."}, AGENT)
    assert "agent's instructions go over" in caplog.text


def test_functions_belong_to_agents() -> None:
    server = {"type": "mcp", "server_label": "dice", "server_url": "https://example"}
    assert config_of({"tools": [server]}, AGENT)["tools"] == [server]
    with pytest.raises(InvalidRequest, match="'add' belongs to an agent"):
        config_of({"tools": [{"type": "function", "name": "add"}]}, AGENT)


def test_the_model() -> None:
    assert settings_of(None, None, {}, traced=True) == {}
    config = {"model": "gpt-realtime"}
    assert settings_of(None, None, config, traced=True)["model_name"] == "gpt-realtime"
    assert settings_of("mine", None, config, traced=True)["model_name"] == "mine"


def test_tracing(caplog: pytest.LogCaptureFixture) -> None:
    tracing = tracing_of("support", "g1", {"team": "voice"})
    assert tracing == {
        "workflow_name": "support",
        "group_id": "g1",
        "metadata": {"team": "voice"},
    }
    config = {"tracing": "auto"}
    assert settings_of(None, tracing, config, traced=True) == {"tracing": tracing}
    assert settings_of(None, tracing, config, traced=False) == {"tracing": None}
    assert config_of(config, AGENT)["tracing"] == "auto"
    assert tracing_of(None, None, None) is None
    assert caplog.text == ""
    assert tracing_of(None, "g1", None) is None
    assert "Without workflow_name" in caplog.text


def test_the_transport_by_its_name() -> None:
    made = transport_of("websocket", "sk-any", "gpt-realtime")
    assert isinstance(made, OpenAIRealtimeWebSocket)
    with pytest.raises(InvalidRequest, match="'smoke' is no transport"):
        transport_of("smoke", None, None)


def test_without_webrtc_the_extra_is_named() -> None:
    named = without("aiortc", "from offhook.agent.options import transport_of")
    assert "offhook[media]" in named("transport_of('webrtc', None, None)")


@pytest.mark.parametrize("wrong", [None, 42, OpenAIRealtimeWebSocket, object()])
def test_what_is_no_transport_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match="is no transport"):
        transport_of(wrong, None, None)


@pytest.mark.parametrize("wrong", [None, "Greeter", Agent(name="Greeter")])
def test_what_is_no_agent_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match="has to be a RealtimeAgent"):
        agent_of(wrong)
