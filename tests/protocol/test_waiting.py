from __future__ import annotations

from typing import Any

import pytest

from offhook.protocol.waiting import Waiting

CREATED = {"type": "response.created"}
STARTED = {"type": "output_audio_buffer.started"}
STOPPED = {"type": "output_audio_buffer.stopped"}
CLEARED = {"type": "output_audio_buffer.cleared"}
SPEECH = {"type": "input_audio_buffer.speech_started"}


def done(*kinds: str) -> dict[str, Any]:
    output = [{"type": kind} for kind in kinds]
    return {"type": "response.done", "response": {"output": output}}


@pytest.mark.parametrize(
    ("events", "waits"),
    [
        ([], False),
        ([CREATED], True),
        ([CREATED, STARTED], False),
        ([CREATED, STARTED, done("message"), STOPPED], False),
        ([CREATED, done("message")], False),  # in writing
        ([CREATED, SPEECH], False),
        ([CREATED, done("function_call")], True),
        ([CREATED, done("function_call"), CREATED], True),
        ([CREATED, done("function_call"), CREATED, STARTED], False),
        ([CREATED, done("mcp_call")], True),
        # "Let me see": it waits when that has been said.
        ([CREATED, STARTED, done("message", "function_call")], False),
        ([CREATED, STARTED, done("message", "function_call"), STOPPED], True),
        ([CREATED, STARTED, done("message", "function_call"), CLEARED], True),
        ([CREATED, STARTED, done("function_call"), SPEECH, CLEARED], False),
        ([CREATED, {"type": "response.done", "response": None}], False),
        ([{}], False),
    ],
)
def test_a_caller_waits_while_an_answer_is_owed(events: Any, waits: bool) -> None:
    waiting = Waiting()
    for event in events:
        waiting.take(event)
    assert bool(waiting) is waits
