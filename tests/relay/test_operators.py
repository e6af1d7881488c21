from __future__ import annotations

from typing import Any

import jwt
import pytest
from starlette.requests import HTTPConnection, Request

from offhook.errors import OffhookError
from offhook.relay.operators import COOKIE, SESSION_SECONDS, Check, Operators

pytestmark = pytest.mark.anyio

TOKEN = "canary-operator-token"


def request(
    client: str = "127.0.0.1", method: str = "GET", **headers: str
) -> HTTPConnection:
    headers = {"host": "localhost:8040"} | headers
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "method": method, "headers": raw, "client": (client, 1)}
    return Request(scope)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def refusal(operators: Operators, asked: HTTPConnection) -> OffhookError:
    assert not await operators.admits(asked)
    with pytest.raises(OffhookError) as caught:
        await operators.admit(asked)
    assert TOKEN not in str(caught.value)
    return caught.value


async def test_without_a_setting_this_machine_alone_is_let_in() -> None:
    operators = Operators()
    assert not operators.takes_token
    assert await operators.admits(request())
    assert await operators.admits(request("::1", host="[::1]:8040"))
    for asked in (
        request("192.0.2.1", host="voice.example"),
        request("192.0.2.1", host="localhost"),
        request(host="evil.example:8040"),  # DNS rebinding
        request(host="evil.example:8040", origin="http://evil.example:8040"),
        request(x_forwarded_for="127.0.0.1"),
        request(forwarded="for=127.0.0.1"),
        request("192.0.2.1", authorization="Bearer "),
        request("192.0.2.1", authorization=f"Bearer {None}"),
        request("192.0.2.1", cookie=f"{COOKIE}="),
    ):
        error = await refusal(operators, asked)
        assert (error.status, error.code) == (403, "operator_only")
        assert "OFFHOOK_OPERATOR_TOKEN" in error.message


async def test_the_token_lets_in_from_anywhere_and_nothing_else_does() -> None:
    operators = Operators(TOKEN)
    asked = request("192.0.2.1", host="voice.example", authorization=f"Bearer {TOKEN}")
    assert await operators.admits(asked)
    for asked in (
        request(),
        request(authorization=f"Basic {TOKEN}"),
        request(authorization="Bearer "),
    ):
        error = await refusal(operators, asked)
        assert (error.status, error.code) == (401, "invalid_operator_token")
        assert "OFFHOOK_OPERATOR_TOKEN" in error.message


@pytest.mark.parametrize("wrong", [TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é", "None"])
async def test_a_wrong_token_is_refused(wrong: str) -> None:
    error = await refusal(Operators(TOKEN), request(authorization=f"Bearer {wrong}"))
    assert error.status == 401


async def test_guesses_of_one_address_are_slowed_down() -> None:
    clock = Clock()
    operators = Operators(TOKEN, clock=clock)
    session = operators.sign_in(request(), TOKEN)
    for _ in range(5):
        with pytest.raises(OffhookError) as caught:
            operators.sign_in(request(), "guess")
        assert caught.value.status == 401
    right = request(authorization=f"Bearer {TOKEN}")
    error = await refusal(operators, right)
    assert (error.status, error.code) == (429, "too_many_guesses")
    assert error.retry_after == "61"
    # Others, and whoever has signed in, notice nothing.
    elsewhere = request("192.0.2.1", authorization=f"Bearer {TOKEN}")
    assert await operators.admits(elsewhere)
    assert await operators.admits(request(cookie=f"{COOKIE}={session}"))
    clock.now += 60
    assert await operators.admits(right)


async def test_signing_in_gives_a_session_that_ends() -> None:
    clock = Clock()
    operators = Operators(TOKEN, clock=clock)
    session = operators.sign_in(request("192.0.2.1", "POST"), TOKEN)
    assert TOKEN not in session
    asked = request("192.0.2.1", cookie=f"{COOKIE}={session}")
    assert await operators.admits(asked)
    assert await Operators(TOKEN, clock=clock).admits(asked)  # another process
    assert not await Operators("another-operator-token", clock=clock).admits(asked)
    clock.now += SESSION_SECONDS
    assert not await operators.admits(asked)


async def test_a_session_cannot_be_made_up() -> None:
    operators = Operators(TOKEN)
    claims: dict[str, Any] = {"aud": "offhook operator", "exp": 2**40}
    for made in (
        "x",
        jwt.encode(claims, "", "none"),
        jwt.encode(claims, "k" * 32, "HS256"),
    ):
        assert not await operators.admits(request(cookie=f"{COOKIE}={made}"))
    # Nor is there one where there is no token to sign in with.
    with pytest.raises(OffhookError):
        Operators().sign_in(request(), "None")


FOREIGN = [
    {"origin": "https://shop.example"},
    {"origin": "null"},
    {"origin": "http://localhost:3000"},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site", "sec_fetch_mode": "cors"},
    {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
    {
        "sec_fetch_site": "cross-site",
        "sec_fetch_mode": "navigate",
        "sec_fetch_dest": "iframe",
    },
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_another_sites_page_cannot_use_the_operators_browser(
    headers: dict[str, str],
) -> None:
    with_token, local = Operators(TOKEN), Operators()
    checked = Operators(check=lambda _: True)
    session = with_token.sign_in(request(), TOKEN)
    for method in ("GET", "POST", "DELETE"):
        cookie = request(method=method, cookie=f"{COOKIE}={session}", **headers)
        for operators in (with_token, local, checked):
            assert (await refusal(operators, cookie)).code == "operator_only"
    with pytest.raises(OffhookError):
        with_token.sign_in(request(**headers), TOKEN)
    # A page that knows the token is no other site's.
    assert await with_token.admits(request(authorization=f"Bearer {TOKEN}", **headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://localhost:8040"},
        {"sec_fetch_site": "same-origin", "origin": "http://localhost:8040"},
        {"sec_fetch_site": "none"},
    ],
)
async def test_the_own_pages_can(headers: dict[str, str]) -> None:
    for method in ("GET", "POST"):
        assert await Operators().admits(request(method=method, **headers))


async def test_a_link_from_elsewhere_opens_a_page_and_changes_nothing() -> None:
    link = {
        "sec_fetch_site": "cross-site",
        "sec_fetch_mode": "navigate",
        "sec_fetch_dest": "document",
    }
    assert await Operators().admits(request(**link))
    assert not await Operators().admits(request(method="POST", **link))


async def test_the_hosts_own_check_decides() -> None:
    async def later(connection: HTTPConnection) -> bool:
        return connection.headers.get("x-user") == "ann"

    def now(connection: HTTPConnection) -> bool:
        return connection.headers.get("x-user") == "ann"

    checks: tuple[Check, ...] = (later, now)
    for check in checks:
        operators = Operators(check=check)
        assert await operators.admits(request("192.0.2.1", x_user="ann"))
        error = await refusal(operators, request(x_user="bob"))  # on loopback, too
        assert (error.status, error.code) == (403, "operator_only")
        both = Operators(TOKEN, check)
        assert await both.admits(request("192.0.2.1", x_user="ann"))
        assert await both.admits(request(authorization=f"Bearer {TOKEN}"))
        foreign_key = request(authorization="Bearer theirs", x_user="ann")
        assert await both.admits(foreign_key)
        assert not await both.admits(request())


async def test_a_check_that_fails_lets_nobody_in() -> None:
    def broken(_: HTTPConnection) -> bool:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await Operators(check=broken).admit(request())
