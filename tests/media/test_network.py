from __future__ import annotations

import pytest

from offhook.errors import SettingsError
from offhook.media.network import IceServer, Network, turn_credentials
from offhook.settings import LocalSettings, Settings


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("stun:stun.example.com", IceServer("stun", "stun.example.com", 3478)),
        ("STUN:192.0.2.1:19302", IceServer("stun", "192.0.2.1", 19302)),
        ("turn:relay.example.com", IceServer("turn", "relay.example.com", 3478)),
        ("turn:[2001:db8::1]:99", IceServer("turn", "2001:db8::1", 99)),
        ("turn:h?transport=udp", IceServer("turn", "h", 3478)),
        ("turn:h:80?transport=tcp", IceServer("turn", "h", 80, "tcp")),
        ("turns:h", IceServer("turns", "h", 5349, "tcp")),
        ("turns:h?transport=tcp", IceServer("turns", "h", 5349, "tcp")),
    ],
)
def test_a_server_is_named_by_its_url(url: str, server: IceServer) -> None:
    assert IceServer.parse(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "stun.example.com",
        "https://example.com",
        "stun://example.com",
        "stun:",
        "stun:h:port",
        "stun:h?transport=tcp",
        "stuns:h",
        "turn:user@h",
        "turn:h?transport=sctp",
        "turns:h?transport=udp",
    ],
)
def test_another_url_is_refused_by_name(url: str) -> None:
    with pytest.raises(SettingsError, match="is not an ICE server") as caught:
        IceServer.parse(url)
    assert url in str(caught.value)


def test_a_relay_needs_a_secret_and_to_be_told_of_callers() -> None:
    relay = IceServer.parse("turn:relay.example.com")
    with pytest.raises(SettingsError, match="turn-secret"):
        Network((relay,), candidates="public")
    with pytest.raises(SettingsError, match="set candidates"):
        Network((relay,), turn_secret="x")
    Network((relay,), turn_secret="x", candidates="lan")
    Network((IceServer.parse("stun:h"),))


def test_an_address_is_made_of_numbers() -> None:
    Network(address="2001:db8::1")
    with pytest.raises(ValueError, match="does not appear to be"):
        Network(address="example.com")


def test_credentials_are_what_coturn_computes() -> None:
    # echo -n 1700000600:caller | openssl dgst -sha1 -hmac north -binary | base64
    assert turn_credentials("north", "caller", 1_700_000_000, 600) == (
        "1700000600:caller",
        "FOfseFWXn4OPY/mLfBbxtl5SRUQ=",
    )


def test_each_login_has_its_own_name_and_its_own_end() -> None:
    relay = IceServer.parse("turn:h")
    network = Network((relay,), turn_secret="north", candidates="lan")
    (first, _), (second, _) = (network.login(relay, 1000.0) for _ in range(2))
    assert first != second
    assert first.partition(":")[0] == second.partition(":")[0] == "8200"


def test_a_server_may_have_a_login_of_its_own() -> None:
    relay = IceServer("turn", "h", 3478, login=("me", "open sesame"))
    network = Network((relay,), candidates="lan")
    assert network.login(relay, 0) == ("me", "open sesame")


def test_secrets_are_not_shown() -> None:
    relay = IceServer("turn", "h", 3478, login=("me", "open sesame"))
    network = Network((relay,), turn_secret="north", candidates="lan")
    assert "sesame" not in f"{relay} {network!r}"
    assert "north" not in repr(network)


@pytest.mark.parametrize("model", [LocalSettings, Settings])
def test_the_operator_says_how_calls_reach_us(
    model: type[LocalSettings | Settings],
) -> None:
    assert Network.of(model.load()) == Network()
    settings = model.load(
        udp_ports="50000-50002",
        address="198.51.100.7",
        ice_servers="stun:stun.example.com,turn:relay.example.com",
        turn_secret="north",
        candidates="public",
    )
    assert Network.of(settings) == Network(
        ice_servers=(
            IceServer("stun", "stun.example.com", 3478),
            IceServer("turn", "relay.example.com", 3478),
        ),
        turn_secret="north",
        ports=range(50000, 50003),
        address="198.51.100.7",
        candidates="public",
    )
