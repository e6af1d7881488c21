"""Who may use the local endpoint: API keys, and client secrets made with them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from offhook.errors import Unauthorized
from offhook.events import new_id
from offhook.protocol.validation import Strict, check

if TYPE_CHECKING:
    from offhook.protocol.session_config import Session

# Far more than a test needs; the oldest secret goes first.
_MOST_SECRETS = 10_000


class ExpiresAfter(Strict):
    """How long a client secret is good for."""

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=10, le=7200)] = 600


class MintRequest(Strict):
    """What a mint is asked for; the session is checked where it is made."""

    expires_after: ExpiresAfter | None = None
    session: Any = None

    @property
    def seconds(self) -> int:
        """How long the secret is good for."""
        return (self.expires_after or ExpiresAfter()).seconds


_MINT_REQUEST: TypeAdapter[MintRequest] = TypeAdapter(MintRequest)


def mint_request(body: Any) -> MintRequest:
    """Check the body of a mint.

    Raises:
        InvalidRequest: It is malformed.
    """
    request: MintRequest = check(_MINT_REQUEST, body)
    return request


@dataclass(frozen=True)
class Secret:
    """A client secret and the session that it opens."""

    value: str
    session: Session
    expires_at: int


@dataclass
class Keys:
    """Checks credentials; time is an argument.

    Attributes:
        api_key: The only one that is accepted; None accepts any.
    """

    api_key: str | None
    _secrets: dict[str, Secret] = field(default_factory=dict)

    def check_api_key(self, key: str | None) -> None:
        """Accept an API key.

        Raises:
            Unauthorized: None, a client secret, or the wrong one.
        """
        if not key:
            raise Unauthorized(
                "You didn't provide an API key. Send it as a header: "
                "Authorization: Bearer YOUR_KEY.",
                code="missing_api_key",
            )
        if key.startswith("ek_"):
            raise Unauthorized(
                "A client secret cannot do this: use your API key, on the server.",
                code="invalid_api_key",
            )
        if self.api_key and not secrets.compare_digest(
            key.encode(), self.api_key.encode()
        ):
            raise Unauthorized(
                "Incorrect API key: this local endpoint was started with another one.",
                code="invalid_api_key",
            )

    def check(self, key: str | None, now: float) -> Session | None:
        """Accept an API key or a client secret; return the secret's session.

        Raises:
            Unauthorized: Neither.
        """
        if not key or not key.startswith("ek_"):
            self.check_api_key(key)
            return None
        secret = self._secrets.get(key)
        if secret is None or secret.expires_at <= now:
            raise Unauthorized(
                "This client secret is unknown or has expired. Make a new one.",
                code="expired_api_key" if secret else "invalid_api_key",
            )
        return secret.session

    def mint(self, session: Session, seconds: int, now: float) -> Secret:
        """Make a client secret; as on the real service it may be used many times."""
        while len(self._secrets) >= _MOST_SECRETS:
            del self._secrets[next(iter(self._secrets))]
        secret = Secret(new_id("ek"), session, int(now) + seconds)
        self._secrets[secret.value] = secret
        return secret


def bearer(headers: Any) -> str | None:
    """Return the key of an Authorization header."""
    scheme, _, key = str(headers.get("authorization", "")).partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None
