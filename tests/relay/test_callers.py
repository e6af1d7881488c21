from __future__ import annotations

import pytest
from starlette.requests import Request

from offhook.errors import Unauthorized
from offhook.relay.callers import bearer, is_local


def request(client: str | None = "127.0.0.1", **headers: str) -> Request:
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    peer = None if client is None else (client, 1)
    return Request({"type": "http", "headers": raw, "client": peer})


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_a_bearer_key_is_read(scheme: str) -> None:
    assert bearer(request(authorization=f"{scheme} ek_x")) == "ek_x"


@pytest.mark.parametrize("header", ["", "ek_x", "Bearer", "Bearer ", "Basic eA=="])
def test_a_missing_key_is_refused(header: str) -> None:
    with pytest.raises(Unauthorized):
        bearer(request(authorization=header))


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
