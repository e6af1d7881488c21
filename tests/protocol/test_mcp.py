from __future__ import annotations

from typing import Any

import pytest

from offhook.errors import InvalidRequest
from offhook.protocol.mcp import McpServer, is_read_only, shown

TOOL = {"type": "mcp", "server_label": "dice", "server_url": "http://127.0.0.1:1/mcp"}
READER = {"name": "read", "annotations": {"readOnlyHint": True}}
WRITER = {"name": "write", "annotations": {"readOnlyHint": False}}


def server(**fields: Any) -> McpServer:
    return McpServer.parse({**TOOL, **fields})


def test_the_least_that_a_session_has_to_say() -> None:
    dice = server()
    assert (dice.label, dice.url, dice.headers) == ("dice", TOOL["server_url"], {})
    assert dice.admits({"name": "anything"})
    assert dice.needs_approval("anything")


def test_fields_that_are_not_known_are_let_through() -> None:
    assert server(server_description="Rolls dice.", defer_loading=True) == server()


def test_a_connector_has_no_address() -> None:
    calendar = {"connector_id": "connector_googlecalendar", "server_url": None}
    assert server(**calendar).url == ""


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"server_label": None}, "server_label"),
        ({"server_url": "file:///etc/passwd"}, "server_url"),
        ({"headers": {"X": 1}}, "headers.X"),
        ({"require_approval": {"sometimes": {}}}, "require_approval.sometimes"),
    ],
)
def test_what_is_malformed_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        server(**fields)
    assert caught.value.param == param


def test_the_authorization_is_a_bearer_token() -> None:
    dice = server(authorization="t0", headers={"Authorization": "Basic x", "X-Y": "z"})
    assert dice.headers == {"authorization": "Bearer t0", "x-y": "z"}


def test_secrets_are_not_shown() -> None:
    tool = {**TOOL, "authorization": "hunter22", "headers": {"X": "hunter23", "Y": "1"}}
    dice = McpServer.parse(tool)
    assert shown(tool) == TOOL
    assert "hunter" not in repr(dice)
    assert dice.redact("1 hunter22 hunter23") == "1 [redacted] [redacted]"


@pytest.mark.parametrize(
    ("allowed", "admitted"),
    [
        (None, [READER, WRITER]),
        (["write"], [WRITER]),
        ([], []),
        ({"tool_names": ["read"]}, [READER]),
        ({"read_only": True}, [READER]),
        ({"read_only": False}, [WRITER]),
        ({"read_only": True, "tool_names": ["write"]}, []),
    ],
)
def test_which_tools_are_admitted(allowed: Any, admitted: list[dict[str, Any]]) -> None:
    dice = server(allowed_tools=allowed)
    assert [tool for tool in (READER, WRITER) if dice.admits(tool)] == admitted


@pytest.mark.parametrize(
    ("approval", "needing"),
    [
        (None, ["read", "write"]),
        ("always", ["read", "write"]),
        ("never", []),
        ({"never": {"tool_names": ["read"]}}, ["write"]),
        ({"never": {"read_only": True}}, ["write"]),
        ({"always": {"tool_names": ["write"]}, "never": {}}, ["write"]),
        ({"always": {"tool_names": ["write"]}}, ["read", "write"]),
    ],
)
def test_which_calls_need_approval(approval: Any, needing: list[str]) -> None:
    dice = server(require_approval=approval)
    assert needing == [
        tool["name"]
        for tool in (READER, WRITER)
        if dice.needs_approval(str(tool["name"]), read_only=is_read_only(tool))
    ]
