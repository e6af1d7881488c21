"""How the peers of a server reach their callers: ports, addresses, STUN and TURN."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from offhook.errors import SettingsError

if TYPE_CHECKING:
    from offhook.settings import NetworkSettings

# RFC 7064, RFC 7065; a path or a user is none of it.
_URL = re.compile(
    r"(stun|turn|turns):(\[[0-9a-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?",
    re.ASCII | re.IGNORECASE,
)
_PORTS = {"stun": 3478, "turn": 3478, "turns": 5349}
# Longer than a call: a relay may ask for them again when it renews an allocation.
_CREDENTIAL_SECONDS = 2 * 3600


@dataclass(frozen=True)
class IceServer:
    """A STUN or TURN server.

    Attributes:
        scheme: `stun`, `turn`, or `turns` over TLS.
        host: A name, or an address without brackets.
        transport: How it is reached; the relayed audio is UDP anyway.
        login: A user name and a password; without, a shared secret makes them.
    """

    scheme: Literal["stun", "turn", "turns"]
    host: str
    port: int
    transport: Literal["udp", "tcp"] = "udp"
    login: tuple[str, str] | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL such as `turn:relay.example.com:3478?transport=udp`.

        Raises:
            SettingsError: It is not one that can be used.
        """
        match = _URL.fullmatch(url)
        scheme = match[1].lower() if match else ""
        transport = (match[4] or "").lower() if match else ""
        if not match or (scheme, transport) in {("stun", "tcp"), ("turns", "udp")}:
            raise SettingsError(
                f"{url!r} is not an ICE server: write stun:host:port, turn:host:port "
                "with ?transport=tcp where UDP is blocked, or turns:host:port",
                code="invalid_settings",
            )
        default = "tcp" if scheme == "turns" else "udp"
        return cls(
            scheme,  # type: ignore[arg-type]  # the expression names no other
            match[2].strip("[]"),
            int(match[3] or _PORTS[scheme]),
            transport or default,  # type: ignore[arg-type]  # likewise
        )

    def __str__(self) -> str:
        return f"{self.scheme}:{self.host}:{self.port}"


@dataclass(frozen=True)
class Network:
    """What the operator says about the network; the default suits a public address.

    Attributes:
        ice_servers: STUN and TURN servers; of each kind the first that answers is used.
        turn_secret: What the TURN servers check credentials with (coturn's
            static-auth-secret).
        ports: The UDP ports to use; any, if there are none.
        address: The address under which callers reach this machine's ports, where a
            container or a router translates it.
        candidates: Which addresses in offers are tried. `none`: the callers' own
            checks find us. `public`, or `lan` for private addresses, too.
    """

    ice_servers: tuple[IceServer, ...] = ()
    turn_secret: str | None = field(default=None, repr=False)
    ports: range = range(0)
    address: str | None = None
    candidates: Literal["none", "public", "lan"] = "none"

    def __post_init__(self) -> None:
        if self.address is not None:
            ipaddress.ip_address(self.address)
        turns = [server for server in self.ice_servers if server.scheme != "stun"]
        if any(not server.login for server in turns) and not self.turn_secret:
            raise SettingsError(
                f"{turns[0]} needs turn-secret: the relay's static-auth-secret",
                code="invalid_settings",
            )
        if turns and self.candidates == "none":
            raise SettingsError(
                f"{turns[0]} lets in only callers that it was told of: set candidates "
                "to public, or to lan if they have private addresses",
                code="invalid_settings",
            )

    @classmethod
    def of(cls, settings: NetworkSettings) -> Self:
        """Read the settings.

        Raises:
            SettingsError: They do not fit together.
        """
        first, _, last = (settings.udp_ports or "0--1").partition("-")
        secret = settings.turn_secret
        return cls(
            ice_servers=tuple(map(IceServer.parse, settings.ice_servers)),
            turn_secret=secret.get_secret_value() if secret else None,
            ports=range(int(first), int(last) + 1),
            address=str(settings.address) if settings.address else None,
            candidates=settings.candidates,
        )

    def login(self, server: IceServer, now: float) -> tuple[str, str]:
        """Return the user name and the password for a TURN server."""
        return server.login or turn_credentials(
            self.turn_secret or "", secrets.token_hex(4), now
        )


def turn_credentials(
    secret: str, caller: str, now: float, seconds: float = _CREDENTIAL_SECONDS
) -> tuple[str, str]:
    """Make a user name and a password that a TURN server takes until they expire.

    As in coturn's "TURN REST API" (draft-uberti-behave-turn-rest): the name is the
    time of expiry and an id, the password its HMAC with a secret that both know.
    """
    name = f"{int(now + seconds)}:{caller}"
    digest = hmac.digest(secret.encode(), name.encode(), hashlib.sha1)
    return name, base64.b64encode(digest).decode()
