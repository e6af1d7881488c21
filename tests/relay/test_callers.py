from __future__ import annotations

import pytest
from starlette.requests import Request

from offhook.errors import Unauthorized, redact
from offhook.relay.callers import (
    address_of,
    bearer,
    is_local,
    is_own_page,
    is_rebound,
)


def request(
    client: str | None = "127.0.0.1", server: str | None = None, **headers: str
) -> Request:
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    peer = None if client is None else (client, 1)
    own = None if server is None else (server, 8040)
    return Request({"type": "http", "headers": raw, "client": peer, "server": own})


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_a_bearer_key_is_read(scheme: str) -> None:
    assert bearer(request(authorization=f"{scheme} ek_x")) == "ek_x"


@pytest.mark.parametrize("header", ["", "ek_x", "Bearer", "Bearer ", "Basic eA=="])
def test_a_missing_key_is_refused(header: str) -> None:
    with pytest.raises(Unauthorized) as error:
        bearer(request(authorization=header))
    # The log shows the whole of what to do.
    assert redact(error.value.message) == error.value.message


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8040", "127.0.0.1:8040", "[::1]:8040", "[::1]"]
)
@pytest.mark.parametrize(
    "client", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
)
def test_a_caller_at_this_machine_is_local(client: str, host: str) -> None:
    assert is_local(request(client, host=host))


@pytest.mark.parametrize(
    "asked",
    [
        request(None, host="localhost"),
        request("192.0.2.1", host="localhost"),
        request("::ffff:192.0.2.1", host="localhost"),
        request(),
        request(host="voice.example"),
        # A foreign name that resolves to loopback: DNS rebinding.
        request(host="localhost.evil.example:8040"),
        request(host="127.0.0.1.evil.example"),
        request(host="localhost", forwarded="for=127.0.0.1"),
        request(host="localhost", x_forwarded_for="127.0.0.1"),
        request(host="localhost", x_forwarded_proto="https"),
    ],
)
def test_others_are_not_local(asked: Request) -> None:
    assert not is_local(asked)


@pytest.mark.parametrize(
    "asked",
    [
        request(host="evil.example"),
        request(),
        request("192.0.2.7", "127.0.0.1", host="evil.example"),
        # As uvicorn tells it, which takes the header's word for the client.
        request("1", "::1", host="evil.example", x_forwarded_for="1"),
        request(host="evil.example", x_forwarded_for="1"),
        request(host="evil.example", forwarded="for=192.0.2.7"),
    ],
)
def test_a_foreign_name_on_loopback_is_rebound_whatever_the_headers_say(
    asked: Request,
) -> None:
    assert is_rebound(asked)


@pytest.mark.parametrize(
    "asked",
    [
        request("192.0.2.7", "192.0.2.1", host="voice.example"),
        request("192.0.2.7", None, host="voice.example"),
        request(None, "/run/offhook.sock", host="voice.example"),
        request("127.0.0.1", "127.0.0.1", host="localhost:8040"),
        request("192.0.2.7", "127.0.0.1", host="[::1]:8040", x_forwarded_for="x"),
    ],
)
def test_elsewhere_and_under_its_own_names_nothing_is_rebound(asked: Request) -> None:
    assert not is_rebound(asked)


@pytest.mark.parametrize("host", ["voice.example", "localhost:8040", "[::1]:8040"])
def test_a_request_without_another_origin_is_of_an_own_page(host: str) -> None:
    assert is_own_page(request(host=host))
    assert is_own_page(request(host=host, origin=f"https://{host}"))
    assert is_own_page(request(host=host.upper(), origin=f"http://{host}"))
    # Behind a proxy that keeps the Host to itself, the browser's word counts.
    proxied = {"origin": "https://voice.example", "sec_fetch_site": "same-origin"}
    assert is_own_page(request(host="127.0.0.1:8040", **proxied))


@pytest.mark.parametrize("origin", ["null", "", "https://a.example", "localhost:8040"])
def test_another_origin_is_of_another_page(origin: str) -> None:
    assert not is_own_page(request(host="localhost:8040", origin=origin))
    assert not is_own_page(request(host="", origin=origin))


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (None, None),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("1", "1"),
    ],
)
def test_a_caller_is_known_by_its_address_or_its_network(
    client: str | None, address: str | None
) -> None:
    assert address_of(request(client)) == address


def test_what_a_caller_says_of_its_address_counts_nothing() -> None:
    assert address_of(request("192.0.2.7", x_forwarded_for="1.2.3.4")) == "192.0.2.7"
