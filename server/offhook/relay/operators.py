"""Who may see what is the operator's: the calls, their recordings, the metrics.

Whoever brings the token (`OFFHOOK_OPERATOR_TOKEN`) or passes the host's own check. With
neither it is whoever sits at this machine, and nobody else. What a browser sends along
by itself, a cookie or its address, counts for our own pages only, not for other sites'.
"""

from __future__ import annotations

import hashlib
import hmac
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import jwt
from starlette.requests import HTTPConnection

from offhook.errors import CallerError, Forbidden, OffhookError, Unauthorized
from offhook.relay.callers import bearer, is_local, is_own_page

COOKIE = "offhook_operator"
SESSION_SECONDS = 12 * 3600

# Says of a request whether the operator sent it.
Check = Callable[[HTTPConnection], bool | Awaitable[bool]]

_AUDIENCE = "offhook operator"
_GUESSES = 5  # wrong ones, of one address, …
_GUESS_SECONDS = 60.0  # … within so much time
_MAX_ADDRESSES = 10_000  # the one that guessed first is forgotten


class _Guesses(NamedTuple):
    wrong: int
    until: float


class Operators:
    """Lets the operator in."""

    def __init__(
        self,
        token: str | None = None,
        check: Check | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what tells the operator from others; either is enough.

        Args:
            token: What the operator knows.
            check: What the host's own login says of a request.
            clock: Gives the Unix time.
        """
        self._token = token
        self._check = check
        self._clock = clock
        # Made of the token: whoever changes it signs everybody out, and processes that
        # share it share their sessions.
        self._key = hashlib.sha256(f"{_AUDIENCE} {token}".encode()).digest()
        self._guesses: dict[str, _Guesses] = {}

    @property
    def takes_token(self) -> bool:
        """Whether there is a token to sign in with."""
        return self._token is not None

    async def admits(self, connection: HTTPConnection) -> bool:
        """Whether this is the operator."""
        try:
            await self.admit(connection)
        except OffhookError:
            return False
        return True

    async def admit(self, connection: HTTPConnection) -> None:
        """Let the operator pass.

        Raises:
            Unauthorized: The token is missing or wrong.
            Forbidden: It is somebody else, or another site's page.
            CallerError: Too many wrong tokens came from this address.
        """
        token = _presented(connection)
        wrong: CallerError | None = None
        if token and self._token:
            try:
                self._compare(connection, token)
            except CallerError as error:
                wrong = error  # it may mean something to the host
            else:
                return
        if not is_own_page(connection):
            raise Forbidden(
                "Only this server's own pages may ask for this, or requests with the "
                "operator's token.",
                code="operator_only",
            )
        if self._check is not None:
            said = self._check(connection)
            if await said if inspect.isawaitable(said) else said:
                return
        elif self._token is None and is_local(connection):
            return
        if self._token and self._is_session(connection.cookies.get(COOKIE, "")):
            return
        raise wrong or self._refusal()

    def sign_in(self, connection: HTTPConnection, token: str) -> str:
        """Exchange the token for a session: what the cookie holds.

        Raises:
            Unauthorized: The token is wrong.
            Forbidden: There is none, or another site's page asks.
            CallerError: Too many wrong tokens came from this address.
        """
        if self._token is None or not is_own_page(connection):
            raise self._refusal()
        self._compare(connection, token)
        ends = int(self._clock()) + SESSION_SECONDS
        return jwt.encode({"aud": _AUDIENCE, "exp": ends}, self._key, "HS256")

    def _compare(self, connection: HTTPConnection, token: str) -> None:
        address = connection.client.host if connection.client else ""
        now = self._clock()
        guesses = self._guesses.get(address)
        if guesses is None or guesses.until <= now:
            guesses = _Guesses(0, now + _GUESS_SECONDS)
        if guesses.wrong >= _GUESSES:
            raise CallerError(
                "Too many wrong tokens came from this address: try again in a minute.",
                code="too_many_guesses",
                status=429,
                retry_after=str(int(guesses.until - now) + 1),
            )
        if hmac.compare_digest(token.encode(), str(self._token).encode()):
            self._guesses.pop(address, None)
            return
        if len(self._guesses) >= _MAX_ADDRESSES and address not in self._guesses:
            del self._guesses[next(iter(self._guesses))]
        self._guesses[address] = guesses._replace(wrong=guesses.wrong + 1)
        raise Unauthorized(
            "This is not the operator's token: it is what OFFHOOK_OPERATOR_TOKEN says "
            "on the server.",
            code="invalid_operator_token",
        )

    def _is_session(self, cookie: str) -> bool:
        try:
            claims = jwt.decode(
                cookie,
                self._key,
                algorithms=["HS256"],
                audience=_AUDIENCE,
                options={"require": ["aud", "exp"], "verify_exp": False},
            )
        except jwt.InvalidTokenError:
            return False
        return bool(claims["exp"] > self._clock())

    def _refusal(self) -> CallerError:
        if self._token is not None:
            return Unauthorized(
                "This is the operator's: send OFFHOOK_OPERATOR_TOKEN in the "
                "Authorization header, or sign in with it in a browser.",
                code="invalid_operator_token",
            )
        if self._check is not None:
            return Forbidden(
                "This is the operator's, and create_app(operator=…) says no.",
                code="operator_only",
            )
        return Forbidden(
            "This is the operator's, and open at the server's own machine only: set "
            "OFFHOOK_OPERATOR_TOKEN on the server, or create_app(operator=…).",
            code="operator_only",
        )


def _presented(connection: HTTPConnection) -> str | None:
    try:
        return bearer(connection)
    except Unauthorized:
        return None
