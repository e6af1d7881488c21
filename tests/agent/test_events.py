from __future__ import annotations

from typing import Any

import pytest

from offhook.agent.events import (
    error_of,
    item_of,
    timeout_of,
    transcription_of,
    usage_of,
)
from offhook.protocol.transport_events import Usage


def message(role: str, *content: dict[str, Any], **fields: Any) -> Any:
    item = {"item_id": "item_1", "type": "message", "role": role, **fields}
    return item_of({**item, "content": list(content)})


def test_messages() -> None:
    user = message("user", {"type": "input_audio", "transcript": "Hello"})
    assert (user.role, user.content[0].transcript) == ("user", "Hello")
    said = {"type": "output_audio", "transcript": "Hi"}
    written = {"type": "output_text", "text": "Hi"}
    status = {"status": "incomplete", "previous_item_id": "item_0"}
    assistant = message("assistant", said, written, {"type": "new"}, **status)
    assert [part.type for part in assistant.content] == ["audio", "text"]
    assert assistant.status == "incomplete"
    assert assistant.previous_item_id == "item_0"
    system = message("system", {"type": "input_text", "text": "Be brief."})
    assert system.content[0].text == "Be brief."


@pytest.mark.parametrize(
    "item",
    [
        {"item_id": "item_1", "type": "mcp_call"},
        {"item_id": "item_1", "type": "message", "role": "critic"},
        {"item_id": 1, "type": "function_call"},
    ],
)
def test_other_items_are_left_out(item: dict[str, Any]) -> None:
    assert item_of(item) is None


def test_a_call_is_open_until_its_output_is_there() -> None:
    call = {"item_id": "item_1", "type": "function_call", "call_id": "call_1"}
    begun: Any = item_of(call)
    ended: Any = item_of({**call, "output": ""})
    assert (begun.status, begun.output) == ("in_progress", None)
    assert (ended.status, ended.output) == ("completed", "")


def test_usage() -> None:
    cached = {"cached_tokens": 4, "cached_tokens_details": {"text_tokens": 4}}
    event = usage_of(Usage(10, 5, {"text_tokens": 10, **cached}, {"audio_tokens": 5}))
    assert event.usage.total_tokens == 15
    assert event.usage.input_tokens_details.cached_tokens == 4
    assert event.input_tokens_details is not None
    assert event.input_tokens_details.cached_tokens_details is not None
    assert event.input_tokens_details.cached_tokens_details.text_tokens == 4
    assert event.output_tokens_details is not None
    assert event.output_tokens_details.audio_tokens == 5
    assert usage_of(Usage(1, 1)).input_tokens_details is None


def test_errors() -> None:
    error = ValueError("broken")
    assert error_of(error).error is error
    assert error_of({}).error.message == ""
    assert error_of({"message": "No.", "param": 5}).error.param == 5


def test_what_the_caller_said() -> None:
    heard = transcription_of({"item_id": "item_1", "transcript": "Hello"})
    assert heard is not None
    assert heard.transcript == "Hello"
    assert transcription_of({"item_id": "item_1"}) is None


def test_silence() -> None:
    event = timeout_of({"item_id": "item_1", "audio_start_ms": 1, "audio_end_ms": 2})
    assert (event.item_id, event.audio_start_ms, event.audio_end_ms) == ("item_1", 1, 2)
