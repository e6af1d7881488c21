from __future__ import annotations

import re

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.errors import Forbidden, OffhookError, Unauthorized
from offhook.relay.grants import Grants

NOW = 1_000_000.5
SITE = "https://shop.example"


def refused(error: pytest.ExceptionInfo[OffhookError]) -> tuple[int, str | None]:
    return error.value.status, error.value.code


def test_a_grant_says_who_may_do_what_and_is_safe_in_a_header() -> None:
    grants = Grants()
    token, grant = grants.issue("a" * 64, SITE, 60, NOW)
    assert re.fullmatch(r"ek_[A-Za-z0-9._-]+", token)
    assert len(token) < 512  # one subprotocol of a WebSocket handshake
    assert grants.verify(token, SITE, NOW) == grant
    assert (grant.agent, grant.origin, grant.expires) == ("a" * 64, SITE, 1_000_060)


def test_a_grant_without_an_origin_may_be_used_from_any() -> None:
    grants = Grants()
    token, _ = grants.issue("a", None, 60, NOW)
    assert grants.verify(token, SITE, NOW).origin is None


def test_a_grant_expires_at_its_second() -> None:
    grants = Grants()
    token, grant = grants.issue("a", None, 60, NOW)
    grants.verify(token, None, grant.expires - 0.1)
    with pytest.raises(Unauthorized) as error:
        grants.verify(token, None, grant.expires)
    assert refused(error) == (401, "expired_api_key")
    assert grants.identify(token, None) == grant


@pytest.mark.parametrize("origin", [None, "null", "https://other.example"])
def test_a_grant_stays_at_its_origin(origin: str | None) -> None:
    grants = Grants()
    token, _ = grants.issue("a", SITE, 60, NOW)
    with pytest.raises(Forbidden) as error:
        grants.verify(token, origin, NOW)
    assert refused(error) == (403, "origin_mismatch")
    with pytest.raises(Forbidden):
        grants.identify(token, origin)


def test_a_grant_is_spent_once() -> None:
    grants = Grants()
    token, grant = grants.issue("a", None, 60, NOW)
    assert grants.spend(grant, NOW) is None
    with pytest.raises(Unauthorized) as error:
        grants.verify(token, None, NOW)
    assert refused(error) == (401, "spent_api_key")
    with pytest.raises(Unauthorized) as error:
        grants.spend(grant, NOW)
    assert refused(error) == (401, "spent_api_key")
    other, _ = grants.issue("a", None, 60, NOW)
    grants.verify(other, None, NOW)


def test_a_callers_own_session_stays_here_until_its_call() -> None:
    grants = Grants()
    token, grant = grants.issue("a", None, 60, NOW, {"instructions": "canary"})
    claims = jwt.decode(token.removeprefix("ek_"), options={"verify_signature": False})
    assert claims["own"] is True
    assert "canary" not in str(claims)
    assert grants.spend(grant, NOW) == {"instructions": "canary"}


def test_a_session_that_another_process_keeps_is_not_replaced_in_silence() -> None:
    here, there = Grants("a secret that both know"), Grants("a secret that both know")
    token, _ = here.issue("a", None, 60, NOW, {"instructions": "mine"})
    with pytest.raises(Unauthorized) as error:
        there.spend(there.verify(token, None, NOW), NOW)
    assert refused(error) == (401, "expired_api_key")


def test_processes_with_one_secret_know_each_others_grants() -> None:
    token, grant = Grants("a secret that both know").issue("a", None, 60, NOW)
    assert Grants("a secret that both know").verify(token, None, NOW) == grant
    for other in (Grants(), Grants("quite another secret")):
        with pytest.raises(Unauthorized) as error:
            other.verify(token, None, NOW)
        assert refused(error) == (401, "invalid_api_key")


def forged(**changes: object) -> str:
    claims = {"aud": "offhook", "jti": "x", "exp": 2_000_000, "agent": "a"} | changes
    return "ek_" + jwt.encode(
        {name: value for name, value in claims.items() if value is not None},
        b"k" * 32,
        algorithm="HS256",
    )


@pytest.mark.parametrize(
    "token",
    [
        "",
        "ek_",
        "ek_a.b.c",
        forged(),
        forged().removeprefix("ek_"),
        "ek_" + jwt.encode({"aud": "offhook"}, "", algorithm="none"),
        "ek_" + "x" * 5000,
    ],
)
def test_what_this_server_did_not_sign_is_unknown(token: str) -> None:
    with pytest.raises(Unauthorized) as error:
        Grants().verify(token, None, NOW)
    assert refused(error) == (401, "invalid_api_key")


@given(st.data())
def test_a_changed_grant_is_unknown(data: st.DataObject) -> None:
    grants = Grants()
    token, _ = grants.issue("a", None, 60, NOW)
    # The last character of base64 has bits that say nothing.
    place = data.draw(st.integers(0, len(token) - 2))
    character = data.draw(st.characters().filter(lambda c: c != token[place]))
    changed = token[:place] + character + token[place + 1 :]
    with pytest.raises(Unauthorized):
        grants.verify(changed, None, NOW)


def test_a_grant_is_nothing_without_its_prefix() -> None:
    grants = Grants()
    token, _ = grants.issue("a", None, 60, NOW)
    with pytest.raises(Unauthorized):
        grants.verify(token.removeprefix("ek_"), None, NOW)


@pytest.mark.parametrize("consent", [True, False, None])
def test_a_grant_says_what_its_caller_agreed_to(consent: bool | None) -> None:
    grants = Grants()
    token, grant = grants.issue("a", None, 60, NOW, None, consent)
    assert grant.consent is consent
    assert grants.verify(token, None, NOW) == grant
