from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import HTTPConnection

from offhook.errors import Forbidden
from offhook.relay.signature import signature, signed_url

TOKEN = "0123456789abcdef0123456789abcdef"
FORM = [("To", "+15550101"), ("From", "+15550100"), ("Note", "")]
URL = "https://voice.example.com/twilio/voice"
WSS = "wss://voice.example.com/twilio/media"


def asked(
    path: str, headers: dict[str, str], *, kind: str = "http", **more: Any
) -> HTTPConnection:
    """A request as the server sees it, behind what proxies there are."""
    scope = {
        "type": kind,
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "server": ("127.0.0.1", 8040),
        "headers": [(n.lower().encode(), v.encode()) for n, v in headers.items()],
    }
    return HTTPConnection(scope | more)


def test_it_signs_as_twilio_does() -> None:
    # The example of Twilio's documentation, "How to test the validity of your webhook
    # signature", as its libraries test it.
    form = {
        "CallSid": "CA1234567890ABCDE",
        "To": "+18005551212",
        "From": "+14158675309",
        "Digits": "1234",
        "Caller": "+14158675309",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature("12345", url, form.items()) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_names_that_come_twice_are_sorted_and_count_once() -> None:
    fields = [("b", "2"), ("a", "z"), ("b", "1"), ("b", "2")]
    assert signature("t", "u", fields) == signature("t", "uazb1b2")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "voice.example.com"},
        {"Host": "voice.example.com", "X-Forwarded-Proto": "https"},
        {"Host": "voice.example.com:443"},
        {"Host": "10.0.0.7:8040", "X-Forwarded-Host": "voice.example.com"},
        {"Host": "10.0.0.7", "X-Forwarded-Host": "voice.example.com, 10.0.0.1"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("kind", "path", "url"),
    [("http", "/twilio/voice", URL), ("websocket", "/twilio/media", WSS)],
)
def test_the_url_is_found_behind_proxies(
    headers: dict[str, str], kind: str, path: str, url: str
) -> None:
    fields = FORM if kind == "http" else []
    headers |= {"X-Twilio-Signature": signature(TOKEN, url, fields)}
    assert signed_url(asked(path, headers, kind=kind), TOKEN, fields) == url


@pytest.mark.parametrize(
    "signed",
    [
        "https://voice.example.com:443/twilio/media",
        "https://voice.example.com/twilio/media",
        "wss://voice.example.com/twilio/media/",
        "wss://voice.example.com:443/twilio/media/",
    ],
)
def test_a_handshake_may_be_signed_as_twilio_likes(signed: str) -> None:
    headers = {
        "Host": "voice.example.com",
        "X-Twilio-Signature": signature(TOKEN, signed),
    }
    assert (
        signed_url(asked("/twilio/media", headers, kind="websocket"), TOKEN) == signed
    )


def test_ports_and_queries_count() -> None:
    url = "http://voice.example.com:8080/twilio/voice?queue=1"
    headers = {"Host": "voice.example.com:8080"}
    signed = {**headers, "X-Twilio-Signature": signature(TOKEN, url)}
    asking = asked("/twilio/voice", signed, query_string=b"queue=1")
    assert signed_url(asking, TOKEN) == url
    with pytest.raises(Forbidden):
        signed_url(asked("/twilio/voice", signed), TOKEN)


def test_a_base_says_what_a_proxy_does_not() -> None:
    headers = {
        "Host": "10.0.0.7",
        "X-Twilio-Signature": signature(TOKEN, "https://e.com/x/twilio/voice"),
    }
    asking = asked("/twilio/voice", headers)
    assert signed_url(asking, TOKEN, base="https://e.com/x/").startswith(
        "https://e.com"
    )
    with pytest.raises(Forbidden):
        signed_url(asking, TOKEN, base="https://e.com")
    with pytest.raises(Forbidden, match="public_url"):
        signed_url(asking, TOKEN)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "no signature",
        "ä",
        signature("another", URL, FORM),
        signature(TOKEN, URL, FORM[1:]),
        signature(TOKEN, URL.replace("voice.", "evil."), FORM),
        signature(TOKEN, URL, FORM)[:-1],
        signature(TOKEN, URL, FORM).lower(),
    ],
    ids=str,
)
def test_whatever_else_is_refused(given: str | None) -> None:
    headers = {"Host": "voice.example.com"}
    if given is not None:
        headers["X-Twilio-Signature"] = given
    with pytest.raises(Forbidden) as caught:
        signed_url(asked("/twilio/voice", headers), TOKEN, FORM)
    assert caught.value.code == "invalid_signature"
    assert TOKEN not in str(caught.value)
