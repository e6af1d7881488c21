from __future__ import annotations

from typing import Any

import pytest

from offhook.errors import InvalidRequest
from offhook.protocol.session_config import effective, merged

SESSION = effective("sess_1", expires_at=3600, model=None)


def after(**patch: Any) -> dict[str, Any]:
    return merged(SESSION, {"type": "realtime", **patch})


def test_only_what_is_present_changes() -> None:
    session = after(audio={"input": {"transcription": {"model": "whisper-1"}}})
    assert session["audio"]["input"]["transcription"] == {"model": "whisper-1"}
    assert session["audio"]["input"]["turn_detection"]["threshold"] == 0.5
    assert session["audio"]["output"] == SESSION["audio"]["output"]
    assert SESSION["audio"]["input"]["transcription"] is None


def test_turn_detection_is_replaced_as_a_unit() -> None:
    first = after(
        audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.9}}}
    )
    second = merged(
        first,
        {
            "type": "realtime",
            "audio": {
                "input": {
                    "turn_detection": {"type": "server_vad", "silence_duration_ms": 200}
                }
            },
        },
    )
    detection = second["audio"]["input"]["turn_detection"]
    assert (detection["threshold"], detection["silence_duration_ms"]) == (0.5, 200)
    off = merged(
        second, {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    )
    assert off["audio"]["input"]["turn_detection"] is None


def test_what_is_cleared_and_what_is_fixed() -> None:
    session = after(instructions="", tools=[], model="other", tracing="auto")
    assert session["instructions"] == ""
    assert session["model"] == SESSION["model"]
    assert session["tracing"] == "auto"
    assert after(instructions=None)["instructions"] == ""


def test_speech_comes_with_its_transcript_whatever_is_asked_for() -> None:
    assert after(output_modalities=["text", "audio"])["output_modalities"] == ["audio"]
    assert after(output_modalities=["text"])["output_modalities"] == ["text"]


def test_formats() -> None:
    pcm = {"type": "audio/pcm"}
    assert after(audio={"input": {"format": pcm}})["audio"]["input"]["format"] == {
        "type": "audio/pcm",
        "rate": 24000,
    }
    law = {"type": "audio/pcmu"}
    session = after(audio={"output": {"format": law, "speed": 1}})
    assert session["audio"]["output"]["format"] == law
    back = merged(session, {"type": "realtime", "audio": {"output": {"format": None}}})
    assert back["audio"]["output"]["format"] == law


def test_the_voice_is_fixed_once_it_was_heard() -> None:
    patch = {"type": "realtime", "audio": {"output": {"voice": "ash"}}}
    with pytest.raises(InvalidRequest, match="Cannot update a conversation's voice"):
        merged(SESSION, patch, spoken=True)
    # Agents SDKs repeat the voice in every update: the same one is no change.
    same = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    assert merged(SESSION, same, spoken=True) == SESSION


@pytest.mark.parametrize(
    ("patch", "code", "param"),
    [
        ({}, "missing_required_parameter", "session.type"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"type": "realtime", "mood": 1}, "unknown_parameter", "session.mood"),
        (
            {"type": "realtime", "instructions": 1},
            "invalid_type",
            "session.instructions",
        ),
        (
            {"type": "realtime", "audio": {"output": {"speed": 2}}},
            "invalid_value",
            "session.audio.output.speed",
        ),
        (
            {"type": "realtime", "audio": {"input": {"turn_detection": {}}}},
            "missing_required_parameter",
            "session.audio.input.turn_detection.type",
        ),
        (
            {"type": "realtime", "tools": [{"type": "function"}]},
            "missing_required_parameter",
            "session.tools[0].name",
        ),
        (None, "invalid_type", "session"),
    ],
)
def test_what_is_wrong_is_named(patch: Any, code: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        merged(SESSION, patch)
    assert (caught.value.code, caught.value.param) == (code, param)
