from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import InvalidRequest, NotFound, SettingsError
from offhook.relay.agents import Agents, complete

if TYPE_CHECKING:
    from pathlib import Path

VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "create_response": True,
    "interrupt_response": True,
}


def test_without_agents_there_is_a_default_one() -> None:
    agents = Agents(source="agents")
    name, session, media, leg, brain, record, cues, formats = agents.find(None)
    assert agents.built_in
    assert (name, agents.names) == ("default", ["default"])
    assert (media, leg, brain, record) == ("direct", "webrtc", None, "never")
    assert (cues, formats) == ({}, ())
    assert session["type"] == "realtime"
    assert session["model"] == "gpt-realtime-2.1"
    assert session["instructions"]
    assert session["audio"] == {
        "input": {"transcription": {"model": "gpt-transcribe"}, "turn_detection": VAD},
        "output": {"voice": "marin"},
    }


def test_an_agents_file_is_read_and_completed(tmp_path: Path) -> None:
    file = tmp_path / "agents.toml"
    file.write_text(
        '[sales]\nmodel = "m"\n[support]\ninstructions = "help"\n'
        'audio.output.voice = "cedar"\naudio.input.transcription.language = "de"\n'
        "audio.input.turn_detection.threshold = 0.7\n"
    )
    agents = Agents.read(file)
    assert not agents.built_in
    assert agents.names == ["sales", "support"]
    session = agents.find("support").session
    assert session["audio"] == {
        "input": {
            "transcription": {"model": "gpt-transcribe", "language": "de"},
            "turn_detection": VAD | {"threshold": 0.7},
        },
        "output": {"voice": "cedar"},
    }
    assert agents.find("sales").session["model"] == "m"
    assert (
        "threshold" in agents.find("sales").session["audio"]["input"]["turn_detection"]
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "names no agent"),
        ("support = 1", "support must be a table"),
        ('["a b"]', "'a b'"),
        ("['']", "''"),
        ("[support]\naudio = 1", "support.audio must be a table"),
        (
            "[support]\naudio.input.turn_detection = true",
            "support.audio.input.turn_detection must be a table",
        ),
        ("[support]\ntype = 'transcription'", "support.type must be"),
        ("[support]\nmodel = 2026-01-01", "support: a value"),
        ("[support]\nspeed = nan", "support: a value"),
        ("[support", "not valid TOML"),
        ("a = '\udcff'", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(
    tmp_path: Path, text: str, names: str
) -> None:
    file = tmp_path / "agents.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SettingsError) as error:
        Agents.read(file)
    assert str(error.value).startswith(str(file))
    assert names in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read: No such"):
        Agents.read(tmp_path / "none.toml")


def test_an_agent_is_found_by_name_and_others_are_not_told() -> None:
    agents = Agents({"sales": {}, "support": {}}, source="agents")
    assert agents.find("sales").name == "sales"
    with pytest.raises(NotFound) as unknown:
        agents.find("x" * 1000)
    assert "sales" not in str(unknown.value)
    assert len(str(unknown.value)) < 120
    with pytest.raises(InvalidRequest) as missing:
        agents.find(None)
    assert missing.value.param == "agent"
    assert "sales" not in str(missing.value)


def test_of_several_agents_default_needs_no_name() -> None:
    agents = Agents({"sales": {}, "default": {"model": "m"}}, source="agents")
    assert agents.find(None) == agents.find("default")
    assert agents.find(None).name == "default"


def test_an_agent_says_which_way_its_audio_goes() -> None:
    bridged = {"media": "bridged", "model": "m"}
    agents = Agents({"sales": {}, "support": bridged}, source="agents")
    assert agents.bridged == ["support"]
    assert agents.find("support").media == "bridged"
    assert "media" not in agents.find("support").session
    with pytest.raises(SettingsError, match=r"sales\.media must be 'direct' or"):
        Agents({"sales": {"media": "sent"}}, source="agents")
    assert agents.find("support").leg == "webrtc"
    for wrong in ({"leg": "websocket"}, {"media": "bridged", "leg": "pigeon"}):
        with pytest.raises(SettingsError, match=r"sales\.leg must be 'webrtc' or"):
            Agents({"sales": wrong}, source="agents")


@pytest.mark.parametrize("turns", [None, {"type": "semantic_vad", "eagerness": "low"}])
def test_turn_detection_of_another_kind_replaces_ours_whole(turns: Any) -> None:
    session = complete({"audio": {"input": {"turn_detection": turns}}})
    assert session["audio"]["input"]["turn_detection"] == turns
    # The defaults are everybody's, and stay as they are.
    assert complete({})["audio"]["input"]["turn_detection"] == VAD


def test_captions_can_be_turned_off() -> None:
    session = complete({"audio": {"input": {"transcription": None}}})
    assert session["audio"]["input"]["transcription"] is None


def test_an_agent_says_whether_its_calls_are_recorded() -> None:
    given = {"sales": {}, "support": {"record": "required"}}
    agents = Agents(given, source="agents")
    assert agents.recorded == ["support"]
    assert agents.find("support").record == "required"
    assert "record" not in agents.find("support").session
    with pytest.raises(SettingsError, match=r"sales\.record must be one of never, "):
        Agents({"sales": {"record": True}}, source="agents")


def test_an_agent_says_what_its_recordings_are_to_be_had_as() -> None:
    given = {"sales": {}, "support": {"record_formats": ["wav", "flac"]}}
    agents = Agents(given, source="agents")
    assert agents.find("sales").record_formats == ()
    assert agents.find("support").record_formats == ("wav", "flac")
    assert "record_formats" not in agents.find("support").session
    wrongs: list[Any] = ["wav", ["mp3"], [{}]]
    for wrong in wrongs:
        with pytest.raises(SettingsError, match=r"sales\.record_formats must be"):
            Agents({"sales": {"record_formats": wrong}}, source="agents")
