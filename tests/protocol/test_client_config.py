from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.errors import InvalidRequest
from offhook.protocol.client_config import defaults, session_update
from offhook.protocol.session_config import effective, merged

Config = dict[str, Any]
PCM = {"type": "audio/pcm", "rate": 24000}
FUNCTION = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object", "properties": {"userName": {"type": "string"}}},
}

# What may be written, and where it arrives; each at a value of its own.
GA: list[tuple[Config, str, Any]] = [
    ({"instructions": "Speak like a pirate"}, "instructions", "Speak like a pirate"),
    ({"outputModalities": ["text"]}, "output_modalities", ["text"]),
    ({"output_modalities": ["audio"]}, "output_modalities", ["audio"]),
    ({"output_modalities": ["text", "audio"]}, "output_modalities", ["audio"]),
    ({"toolChoice": "none"}, "tool_choice", "none"),
    ({"tool_choice": "auto"}, "tool_choice", "auto"),
    ({"parallelToolCalls": False}, "parallel_tool_calls", False),
    ({"reasoning": {"effort": "low"}}, "reasoning", {"effort": "low"}),
    ({"maxOutputTokens": 5}, "max_output_tokens", 5),
    ({"truncation": "disabled"}, "truncation", "disabled"),
    ({"tracing": {"workflowName": "a"}}, "tracing", {"workflow_name": "a"}),
    ({"tools": (FUNCTION,)}, "tools", [FUNCTION]),
    (
        {"prompt": {"promptId": "pmpt_1", "variables": {"userName": "Ada"}}},
        "prompt",
        {"id": "pmpt_1", "variables": {"userName": "Ada"}},
    ),
    (
        {"audio": {"input": {"turnDetection": {"type": "server_vad"}}}},
        "audio.input.turn_detection",
        {"type": "server_vad"},
    ),
    (
        {"audio": {"input": {"turn_detection": None}}},
        "audio.input.turn_detection",
        None,
    ),
    (
        {"audio": {"input": {"format": "g711_alaw"}}},
        "audio.input.format",
        {"type": "audio/pcma"},
    ),
    (
        {"audio": {"input": {"noiseReduction": {"type": "near_field"}}}},
        "audio.input.noise_reduction",
        {"type": "near_field"},
    ),
    ({"audio": {"output": {"voice": "cedar"}}}, "audio.output.voice", "cedar"),
    ({"audio": {"output": {"format": PCM}}}, "audio.output.format", PCM),
    ({"providerData": {"max_output_tokens": 7}}, "max_output_tokens", 7),
    (
        {"provider_data": {"audio": {"output": {"speed": 1.5}}}},
        "audio.output.speed",
        1.5,
    ),
    ({"model": "gpt-realtime"}, "model", "gpt-realtime"),
]
BETA: list[tuple[Config, str, Any]] = [
    ({"modalities": ["text", "audio"]}, "output_modalities", ["audio"]),
    ({"modalities": ["text"]}, "output_modalities", ["text"]),
    ({"voice": "ash"}, "audio.output.voice", "ash"),
    ({"speed": 1.2}, "audio.output.speed", 1.2),
    ({"inputAudioFormat": "pcm16"}, "audio.input.format", PCM),
    (
        {"input_audio_format": "g711_ulaw"},
        "audio.input.format",
        {"type": "audio/pcmu"},
    ),
    (
        {"outputAudioFormat": "g711_alaw"},
        "audio.output.format",
        {"type": "audio/pcma"},
    ),
    ({"output_audio_format": PCM}, "audio.output.format", PCM),
    (
        {"inputAudioTranscription": {"model": "whisper-1"}},
        "audio.input.transcription",
        {"model": "whisper-1"},
    ),
    ({"inputAudioTranscription": None}, "audio.input.transcription", None),
    (
        {"inputAudioNoiseReduction": {"type": "far_field"}},
        "audio.input.noise_reduction",
        {"type": "far_field"},
    ),
    (
        {
            "turnDetection": {
                "type": "server_vad",
                "silenceDurationMs": 0,
                "prefixPaddingMs": 100,
                "interruptResponse": False,
                "createResponse": True,
                "idleTimeoutMs": 6000,
                "threshold": 0.0,
            }
        },
        "audio.input.turn_detection",
        {
            "type": "server_vad",
            "silence_duration_ms": 0,
            "prefix_padding_ms": 100,
            "interrupt_response": False,
            "create_response": True,
            "idle_timeout_ms": 6000,
            "threshold": 0.0,
        },
    ),
    (
        {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}},
        "audio.input.turn_detection",
        {"type": "semantic_vad", "eagerness": "high"},
    ),
    ({"turnDetection": None}, "audio.input.turn_detection", None),
    ({"max_response_output_tokens": "inf"}, "max_output_tokens", "inf"),
]


def at(session: Config, path: str) -> Any:
    value: Any = session
    for step in path.split("."):
        value = value[step]
    return value


def united(*configs: Config) -> Config:
    """Merge configs as a user would write them in one."""
    whole: Config = {}
    for config in copy.deepcopy(configs):
        for key, value in config.items():
            known = whole.get(key)
            if isinstance(known, dict) and isinstance(value, dict):
                value = united(known, value)
            whole[key] = value
    return whole


@pytest.mark.parametrize(("config", "path", "value"), GA + BETA, ids=str)
def test_each_name_of_each_vocabulary_arrives(
    config: Config, path: str, value: Any
) -> None:
    before = copy.deepcopy(config)
    session, warnings = session_update(config)
    assert at(session, path) == value
    assert (session["type"], warnings) == ("realtime", [])
    assert config == before


@pytest.mark.parametrize("config", [{"audio": None}, {"audio": {"input": None}}])
def test_a_side_that_is_null_asks_for_nothing(config: Config) -> None:
    assert session_update(config) == ({"type": "realtime"}, [])
    session, _ = session_update({**config, "voice": "ash"})
    assert session["audio"] == {"output": {"voice": "ash"}}


def test_old_and_new_names_mix() -> None:
    session, warnings = session_update(
        {
            "turnDetection": {"type": "server_vad"},
            "outputModalities": ["text"],
            "voice": "ash",
            "audio": {"output": {"speed": 1.1}, "input": {"format": "pcm16"}},
            "providerData": {"audio": {"input": {"transcription": None}}},
        }
    )
    assert session == {
        "type": "realtime",
        "output_modalities": ["text"],
        "audio": {
            "input": {
                "format": PCM,
                "turn_detection": {"type": "server_vad"},
                "transcription": None,
            },
            "output": {"voice": "ash", "speed": 1.1},
        },
    }
    assert warnings == []


@pytest.mark.parametrize(
    ("config", "path", "value", "warning"),
    [
        (
            {"audio": {"output": {"voice": "cedar"}}, "voice": "ash"},
            "audio.output.voice",
            "cedar",
            "'voice' is ignored: 'audio.output.voice' sets the same.",
        ),
        (
            {"output_modalities": ["audio"], "modalities": ["text"]},
            "output_modalities",
            ["audio"],
            "'modalities' is ignored: 'output_modalities' sets the same.",
        ),
        (
            {"tool_choice": "none", "toolChoice": "auto"},
            "tool_choice",
            "none",
            "'toolChoice' is ignored: 'tool_choice' sets the same.",
        ),
        (
            {"turn_detection": None, "turnDetection": {"type": "server_vad"}},
            "audio.input.turn_detection",
            None,
            "'turnDetection' is ignored: 'turn_detection' sets the same.",
        ),
        (
            {"providerData": {"tool_choice": "none"}, "tool_choice": "auto"},
            "tool_choice",
            "none",
            "'tool_choice' is ignored: 'providerData.tool_choice' sets the same.",
        ),
        (
            {"turnDetection": {"type": "x", "idle_timeout_ms": 1, "idleTimeoutMs": 2}},
            "audio.input.turn_detection.idle_timeout_ms",
            1,
            "'turnDetection.idleTimeoutMs' is ignored: "
            "'turnDetection.idle_timeout_ms' sets the same.",
        ),
        (
            {"prompt": {"promptId": "a", "id": "b"}},
            "prompt.id",
            "b",
            "'prompt.promptId' is ignored: 'prompt.id' sets the same.",
        ),
        (
            {"turnDetection": {"eagerness": "low"}},
            "audio.input.turn_detection.type",
            "semantic_vad",
            "'turnDetection' has no type: taken for semantic_vad.",
        ),
        (
            {"tools": [{**FUNCTION, "strict": True}]},
            "tools",
            [FUNCTION],
            "'strict' of tool 'look' is unknown to the Realtime API.",
        ),
    ],
)
def test_what_is_not_taken_as_written_is_reported(
    config: Config, path: str, value: Any, warning: str
) -> None:
    session, warnings = session_update(config)
    assert at(session, path) == value
    assert warnings == [warning]


def test_the_same_said_twice_is_no_conflict() -> None:
    config = {"voice": "ash", "audio": {"output": {"voice": "ash"}}}
    assert session_update(config)[1] == []


def test_unknown_names_pass_as_they_are() -> None:
    config = {
        "newThing": {"toolChoice": 1},
        "audio": {"input": {"newFormat": 1, "format": "audio/new"}},
        "turnDetection": {"type": "newVad", "newThreshold": 0, "modelVersion": "2"},
    }
    session, warnings = session_update(config)
    assert session["newThing"] == {"toolChoice": 1}
    assert session["audio"]["input"] == {
        "newFormat": 1,
        "format": "audio/new",
        "turn_detection": {"type": "newVad", "newThreshold": 0, "model_version": "2"},
    }
    assert warnings == []


def test_schemas_variables_and_headers_are_the_users_own() -> None:
    tool = {
        "type": "mcp",
        "serverLabel": "dice",
        "headers": {"serverUrl": "x"},
        "requireApproval": {"never": {"toolNames": ["roll"]}},
    }
    session, _ = session_update({"tools": [FUNCTION, tool]})
    assert session["tools"] == [
        FUNCTION,
        {
            "type": "mcp",
            "server_label": "dice",
            "headers": {"serverUrl": "x"},
            "require_approval": {"never": {"tool_names": ["roll"]}},
        },
    ]
    assert session["tools"][0]["parameters"] is not FUNCTION["parameters"]


def test_the_model_of_the_config_is_the_one() -> None:
    assert session_update({}, "a")[0]["model"] == "a"
    assert session_update({"model": "b"}, "a")[0]["model"] == "b"
    assert session_update({}, "a", base=defaults())[0]["model"] == "a"
    assert "model" not in session_update({"type": "transcription"}, "a")[0]


def test_defaults_hold_only_where_nothing_is_said() -> None:
    config = {"voice": "ash", "turnDetection": None, "modalities": ["text"]}
    session, warnings = session_update(config, base=defaults())
    assert session == {
        **defaults(),
        "output_modalities": ["text"],
        "audio": {
            "input": {**defaults()["audio"]["input"], "turn_detection": None},
            "output": {"format": PCM, "speed": 1.0, "voice": "ash"},
        },
    }
    assert warnings == []
    assert session_update({})[0] == {"type": "realtime"}


@pytest.mark.parametrize(
    ("config", "param"),
    [
        ({"audio": 3}, "audio"),
        ({"audio": {"input": []}}, "audio.input"),
        ({"providerData": "x"}, "providerData"),
    ],
)
def test_a_group_is_an_object(config: Config, param: str) -> None:
    with pytest.raises(InvalidRequest, match="has to be an object") as caught:
        session_update(config)
    assert caught.value.param == param


@given(
    st.lists(st.sampled_from(GA + BETA), max_size=8),
    st.sampled_from([None, "gpt-realtime-2.1"]),
    st.sampled_from([None, defaults()]),
)
def test_the_local_endpoint_accepts_every_mixture(
    rows: list[tuple[Config, str, Any]], model: str | None, base: Config | None
) -> None:
    config = united(*(row[0] for row in rows))
    session, warnings = session_update(config, model, base=base)
    merged(effective("sess_1", expires_at=3600, model=None), session)
    if len({path for _, path, _ in rows}) == len(rows):
        assert all(at(session, path) == value for _, path, value in rows)
        assert warnings == []
