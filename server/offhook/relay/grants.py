"""Grants: what one caller may do, once, within a minute.

A grant travels as `ek_` and a signed JWT: the official clients want that prefix in a
browser, and a WebSocket's subprotocol takes nothing but these characters. It names
the agent; the agent's session stays on the server. Spent grants are known to this
process only: behind several processes one grant may be spent once in each.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from offhook.errors import Forbidden, Unauthorized
from offhook.relay.expiring import Expiring

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "ek_"
_AUDIENCE = "offhook"
_MAX_TOKEN = 1024
_MAX_SPENT = 100_000
_MAX_SESSIONS = 256  # of up to 256 KiB each


@dataclass(frozen=True, slots=True)
class Grant:
    """The claims of one grant.

    Attributes:
        own: Whether its caller configured the session.
        consent: What its caller said to being recorded; None said nothing.
    """

    id: str
    agent: str
    origin: str | None
    expires: int
    own: bool = False
    consent: bool | None = None


class Grants:
    """Signs grants and sees to it that each is used once; the time is an argument."""

    def __init__(self, secret: str | None = None) -> None:
        """Take the secret that processes share, or make one for this process."""
        # Hashed, so that HS256 always gets the 32 bytes it wants.
        seed = secret.encode() if secret else secrets.token_bytes(32)
        self._key = hashlib.sha256(seed).digest()
        self._spent: Expiring[bool] = Expiring(_MAX_SPENT)
        self._sessions: Expiring[Mapping[str, Any]] = Expiring(_MAX_SESSIONS)

    def issue(
        self,
        agent: str,
        origin: str | None,
        seconds: int,
        now: float,
        session: Mapping[str, Any] | None = None,
        consent: bool | None = None,
    ) -> tuple[str, Grant]:
        """Sign a grant; a session of the caller's own is kept here, not in it.

        Raises:
            ServerError: Too many sessions are waiting for their calls.
        """
        own = session is not None
        expires = int(now) + seconds
        grant = Grant(secrets.token_urlsafe(12), agent, origin, expires, own, consent)
        if session is not None:
            self._sessions.put(grant.id, session, grant.expires, now)
        claims: dict[str, Any] = {
            "aud": _AUDIENCE,
            "jti": grant.id,
            "exp": grant.expires,
            "agent": agent,
        }
        # Left out where they say nothing: a key should be short.
        claims |= {"origin": origin} if origin is not None else {}
        claims |= {"own": True} if own else {}
        claims |= {"consent": consent} if consent is not None else {}
        return _PREFIX + jwt.encode(claims, self._key, algorithm="HS256"), grant

    def identify(self, token: str, origin: str | None) -> Grant:
        """Read a grant of this server, spent and expired ones too.

        Raises:
            Unauthorized: This server did not sign it.
            Forbidden: It belongs to another origin.
        """
        claims = self._claims(token)
        grant = Grant(
            claims["jti"],
            claims["agent"],
            claims.get("origin"),
            claims["exp"],
            claims.get("own", False),
            claims.get("consent"),
        )
        if grant.origin is not None and origin != grant.origin:
            raise Forbidden(
                "This key was made for another origin: ask for one from the page that "
                "uses it.",
                code="origin_mismatch",
            )
        return grant

    def verify(self, token: str, origin: str | None, now: float) -> Grant:
        """Read a grant that can still be spent.

        Raises:
            Unauthorized: It is unknown, expired or spent.
            Forbidden: It belongs to another origin.
        """
        grant = self.identify(token, origin)
        if grant.expires <= now:
            raise Unauthorized(
                "This key has expired: ask for a new one before each call.",
                code="expired_api_key",
            )
        self._refuse_spent(grant, now)
        return grant

    def spend(self, grant: Grant, now: float) -> Mapping[str, Any] | None:
        """Use a verified grant up, and return its caller's own session if it has one.

        Raises:
            Unauthorized: It was spent in the meantime, or its session is not here.
            ServerError: Too many grants were spent lately.
        """
        self._refuse_spent(grant, now)
        self._spent.put(grant.id, True, grant.expires, now)
        session = self._sessions.pop(grant.id, now)
        if grant.own and session is None:
            raise Unauthorized(
                "This key's session is not on this server: ask for a new key.",
                code="expired_api_key",
            )
        return session

    def _refuse_spent(self, grant: Grant, now: float) -> None:
        if self._spent.get(grant.id, now):
            raise Unauthorized(
                "This key has been used: ask for a new one before each call.",
                code="spent_api_key",
            )

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            if not token.startswith(_PREFIX) or len(token) > _MAX_TOKEN:
                raise jwt.InvalidTokenError
            claims: dict[str, Any] = jwt.decode(
                token.removeprefix(_PREFIX),
                self._key,
                algorithms=["HS256"],
                audience=_AUDIENCE,
                options={
                    "require": ["aud", "jti", "exp", "agent"],
                    "verify_exp": False,  # `verify` does, with the time it is given
                },
            )
        except jwt.InvalidTokenError:
            raise Unauthorized(
                "This is not a key of this server: get one from "
                "POST /v1/realtime/client_secrets.",
                code="invalid_api_key",
            ) from None
        return claims
