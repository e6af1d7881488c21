from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from aiortc import AudioStreamTrack

from offhook import Sound
from offhook.cli import main
from offhook.errors import SettingsError
from offhook.relay.agents import Agents
from tests.media.opus import loudness, tone
from tests.waves import written

if TYPE_CHECKING:
    from pathlib import Path

    from offhook.relay.cues import Cue

HEAD = '[support]\nmedia = "bridged"\n[support.sounds.greeting]\n'


def agents(folder: Path, text: str) -> Agents:
    file = folder / "agents.toml"
    file.write_text(HEAD + text, "utf-8")
    return Agents.read(file)


def cue(**table: Any) -> Cue:
    given = {"support": {"media": "bridged", "sounds": {"greeting": table}}}
    return Agents(given, source="agents").find("support").cues["greeting"]


def test_a_file_is_found_beside_the_agents_and_loaded_once(tmp_path: Path) -> None:
    written(tmp_path / "recorded.wav", tone(440, 0.5))
    known = agents(tmp_path, 'file = "recorded.wav"\nwhen = "connected"\ngain_db = -6')
    greeting = known.find("support").cues["greeting"]
    assert (greeting.name, greeting.when, greeting.to) == (
        "greeting",
        "connected",
        "caller",
    )
    assert not greeting.control
    assert greeting.how == {
        "under_speech": False,
        "loop": False,
        "gain_db": -6,
        "duck_db": -12,
        "fade_ms": 20,
    }
    assert "sounds" not in known.find("support").session
    assert greeting.playable is None
    known.cues.load()
    first = greeting.playable
    assert isinstance(first, Sound)
    assert len(first.pcm) == 12000
    assert loudness(first.pcm, 440) == pytest.approx(0.125, rel=0.05)
    assert greeting.how["gain_db"] == 0
    known.cues.load()
    assert greeting.playable is first


@pytest.mark.parametrize("when", ["waiting", "always"])
def test_what_goes_on_is_under_speech_and_begins_again(when: str) -> None:
    sound = Sound(tone(440, 0.1))
    how = cue(sound=sound, when=when).how
    assert (how["under_speech"], how["loop"]) == (True, True)
    assert not cue(sound=sound, when=when, loop=False).how["loop"]
    with pytest.raises(SettingsError, match=r"greeting\.under_speech: has to be true"):
        cue(sound=sound, when=when, under_speech=False)


def test_in_python_a_sound_or_a_function_will_do() -> None:
    sound = Sound(tone(440, 0.1))
    assert cue(sound=sound).playable is sound
    assert cue(sound=AudioStreamTrack).playable is AudioStreamTrack
    with pytest.raises(SettingsError, match=r"greeting\.sound: has to be a Sound"):
        cue(sound=1)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "sounds.greeting.file: name a file"),
        ("file = 1", "sounds.greeting.file: "),
        ('file = "none.wav"', "sounds.greeting.file: "),
        ('file = "agents.toml"', "sounds.greeting.file: "),
        ('file = "ok.wav"\nwhen = "often"', "sounds.greeting.when: "),
        ('file = "ok.wav"\nto = "all"', "sounds.greeting.to: "),
        ('file = "ok.wav"\ngain_db = 99', "sounds.greeting.gain_db: "),
        ('file = "ok.wav"\nduck_db = 3', "sounds.greeting.duck_db: "),
        ('file = "ok.wav"\nfade_ms = -1', "sounds.greeting.fade_ms: "),
        ('file = "ok.wav"\ncontrol = "yes"', "sounds.greeting.control: "),
        ('file = "ok.wav"\ncolour = "red"', "sounds.greeting.colour: "),
        ('file = "ok.wav"\n[support.sounds."a b"]', "sounds: a name has"),
        ('file = "ok.wav"\n[support.sounds]\nx = 1', "sounds.x: has to be a table"),
        ('file = "ok.wav"\n[a]\nsounds = {}', 'a.sounds need media = "bridged"'),
        ('file = "ok.wav"\n[a]\nmedia = "bridged"\nsounds = 1', "a.sounds: has to"),
        (
            'file = "ok.wav"\n[a]\nmedia = "bridged"\nsounds.x = 1',
            "a.sounds.x: has to",
        ),
    ],
)
def test_a_wrong_key_is_named_with_its_file_and_agent(
    tmp_path: Path, text: str, names: str
) -> None:
    written(tmp_path / "ok.wav", tone(440, 0.1))
    with pytest.raises(SettingsError) as error:
        agents(tmp_path, text)
    assert str(error.value).startswith(str(tmp_path / "agents.toml"))
    assert names in str(error.value)


def test_a_server_says_so_and_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agents.toml"
    file.write_text(HEAD + 'file = "none.wav"', "utf-8")
    assert main(["serve", "--agents", str(file), "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert f"{file}: support.sounds.greeting.file: " in said
    assert "none.wav cannot be heard" in said


def test_a_file_that_breaks_meanwhile_stays_silent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "recorded.wav"
    written(path, tone(440, 0.5))
    known = agents(tmp_path, 'file = "recorded.wav"')
    path.unlink()
    with caplog.at_level(logging.ERROR, "offhook"):
        known.cues.load()
    assert known.find("support").cues["greeting"].playable is None
    assert "'greeting' is not played" in caplog.text


def test_few_begin_by_themselves() -> None:
    sound = {"sound": Sound(tone(440, 0.1)), "when": "always"}
    sounds = {f"s{number}": sound for number in range(9)}
    with pytest.raises(SettingsError, match="up to 8 may have"):
        Agents({"a": {"media": "bridged", "sounds": sounds}}, source="agents")


def test_the_pieces_that_are_kept_are_few(tmp_path: Path) -> None:
    tables = "".join(f'[support.sounds.s{n}]\nfile = "ok.wav"\n' for n in range(64))
    written(tmp_path / "ok.wav", tone(440, 0.1))
    with pytest.raises(SettingsError, match="up to 64 tables"):
        agents(tmp_path, 'file = "ok.wav"\n' + tables)
