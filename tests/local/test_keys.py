from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from offhook.errors import Unauthorized
from offhook.local.keys import Keys, bearer
from offhook.protocol.session_config import effective

SESSION = effective("sess_1", expires_at=0, model=None)
NOW = 1000.9


@pytest.mark.parametrize("key", ["sk-any", "x", "Bearer", "ké"])
def test_without_a_key_of_its_own_any_will_do(key: str) -> None:
    keys = Keys(None)
    keys.check_api_key(key)
    assert keys.check(key, NOW) is None


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "missing_api_key"),
        ("", "missing_api_key"),
        ("sk-wrong", "invalid_api_key"),
        ("sk-righ", "invalid_api_key"),
        ("sk-rightx", "invalid_api_key"),
        ("sk-rîght", "invalid_api_key"),
        ("ek_unknown", "invalid_api_key"),
    ],
)
def test_with_a_key_of_its_own_any_other_is_refused(key: str | None, code: str) -> None:
    keys = Keys("sk-right")
    keys.check_api_key("sk-right")
    for check in (keys.check_api_key, lambda key: keys.check(key, NOW)):
        with pytest.raises(Unauthorized) as caught:
            check(key)
        assert (caught.value.status, caught.value.code) == (401, code)
        assert "sk-right" not in str(caught.value)


def test_a_secret_opens_its_session_until_it_expires() -> None:
    keys = Keys("sk-right")
    secret = keys.mint(SESSION, 60, NOW)
    assert secret.value.startswith("ek_")
    assert secret.expires_at == 1060
    for moment in (NOW, 1059.9):
        assert keys.check(secret.value, moment) is SESSION
    with pytest.raises(Unauthorized) as caught:
        keys.check(secret.value, 1060.0)
    assert caught.value.code == "expired_api_key"


def test_a_secret_is_not_an_api_key() -> None:
    keys = Keys(None)
    secret = keys.mint(SESSION, 60, NOW)
    with pytest.raises(Unauthorized, match="on the server"):
        keys.check_api_key(secret.value)


def test_the_oldest_secret_makes_room_for_the_newest() -> None:
    keys = Keys(None)
    first, second = (keys.mint(SESSION, 60, NOW) for _ in range(2))
    for _ in range(9_999):
        newest = keys.mint(SESSION, 60, NOW)
    with pytest.raises(Unauthorized):
        keys.check(first.value, NOW)
    assert keys.check(second.value, NOW) is keys.check(newest.value, NOW)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("Bearer sk-x", "sk-x"),
        ("bearer  sk-x ", "sk-x"),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic sk-x", None),
        ("sk-x", None),
        ("", None),
    ],
)
def test_the_key_stands_behind_bearer(header: str, key: str | None) -> None:
    assert bearer(Headers({"Authorization": header})) == key


def test_without_a_header_there_is_no_key() -> None:
    assert bearer(Headers({})) is None
