from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from offhook.errors import SettingsError
from offhook.settings import LocalSettings, Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in os.environ:
        if name.upper().startswith(("OFFHOOK_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_stronger_source_wins(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    assert Settings.load().port == 8040
    (folder / "offhook.toml").write_text(
        'port = 1\nhost = "toml"\nupstream = "http://toml"\n[local]\nport = 2\n'
    )
    assert (Settings.load().port, LocalSettings.load().port) == (1, 2)
    assert Settings.load().upstream == "http://toml"
    monkeypatch.setenv("OFFHOOK_PORT", "3")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://openai")
    assert Settings.load().port == 3
    assert Settings.load().upstream == "http://openai"
    monkeypatch.setenv("OFFHOOK_UPSTREAM", "http://offhook")
    assert Settings.load().upstream == "http://offhook"
    given = Settings.load(port=4, upstream="http://given")
    assert (given.port, given.upstream, given.host) == (4, "http://given", "toml")


def test_only_our_variables_and_openais_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PORT", "API_KEY", "UPSTREAM", "HOST"):
        monkeypatch.setenv(name, "9")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    settings = Settings.load()
    assert (settings.port, settings.api_key, settings.upstream) == (8040, None, None)


def test_variables_are_named_strongest_first() -> None:
    assert Settings.variables("api_key") == ("OFFHOOK_API_KEY", "OPENAI_API_KEY")
    assert LocalSettings.variables("chat_url") == ("OFFHOOK_LOCAL_CHAT_URL",)


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("OFFHOOK_PORT", "canary", "port (OFFHOOK_PORT)"),
        ("OFFHOOK_KEYS", "canary", "keys (OFFHOOK_KEYS)"),
        ("OFFHOOK_SECRET", "canary", "secret (OFFHOOK_SECRET)"),
        ("OFFHOOK_GRANT_SECONDS", "9", "grant-seconds (OFFHOOK_GRANT_SECONDS)"),
    ],
)
def test_a_wrong_value_is_named_but_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, named: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        Settings.load()
    assert str(error.value).startswith(named)
    assert "canary" not in str(error.value)


def test_a_file_that_is_not_toml_is_named(folder: Path) -> None:
    (folder / "offhook.toml").write_text("port =")
    with pytest.raises(SettingsError, match=r"offhook\.toml is not valid TOML"):
        Settings.load()


def test_secrets_are_not_shown() -> None:
    settings = Settings.load(api_key="canary", secret="canary and sixteen")
    assert "canary" not in repr(settings)


def test_origins_are_exact() -> None:
    settings = Settings.load(origins="https://a.example, HTTP://B.example:81,")
    assert settings.origins == ("https://a.example", "http://b.example:81")


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "a.example",
        "https://",
        "https://*.example",
        "https://a.example/",
        "https://u@a.example",
        "null",
    ],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(SettingsError, match=r"origins \(OFFHOOK_ORIGINS\)"):
        Settings.load(origins=origin)


def test_ports_are_a_first_and_a_last() -> None:
    assert LocalSettings.load(udp_ports="50000-50999").udp_ports == "50000-50999"
    for wrong in ("50000", "x-y", "9-8", "80-90", "50000-70000", "50000-", "-1"):
        with pytest.raises(SettingsError, match="50000-50999"):
            LocalSettings.load(udp_ports=wrong)


def test_an_address_is_made_of_numbers() -> None:
    assert str(LocalSettings.load(address="2001:db8::1").address) == "2001:db8::1"
    with pytest.raises(SettingsError, match="OFFHOOK_LOCAL_ADDRESS"):
        LocalSettings.load(address="example.com")


def test_servers_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFHOOK_LOCAL_ICE_SERVERS", "stun:a, turn:b?transport=tcp,")
    assert LocalSettings.load().ice_servers == ("stun:a", "turn:b?transport=tcp")
