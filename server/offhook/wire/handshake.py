"""What a client says in a handshake: whether it can be sent, and what is secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from offhook.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KEY_PROTOCOL = "openai-insecure-api-key."
_SECRET_NAME = re.compile(r"auth|cookie|key|secret|signature|token", re.I)


def check(headers: Mapping[str, str], subprotocols: Sequence[str] = ()) -> None:
    """Refuse what cannot be sent, before a library does so and names the key in it.

    Raises:
        InvalidRequest: A header or a subprotocol has wrong characters.
    """
    for name, value in headers.items():
        if not (f"{name}{value}".isascii() and f"{name}{value}".isprintable()):
            raise InvalidRequest(
                f"The header {name!a} contains characters that no header has: if it "
                "carries a key, copy that again.",
                code="invalid_header",
            )
    for subprotocol in subprotocols:
        if not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", subprotocol, re.ASCII):
            raise InvalidRequest(
                "A WebSocket subprotocol contains characters that none has: if it "
                "carries a key, copy that again.",
                code="invalid_subprotocol",
            )


def secrets(
    url: str, headers: Mapping[str, str], subprotocols: Sequence[str] = ()
) -> list[str]:
    """Find what no message may repeat, longest first."""
    named = [*headers.items(), *parse_qsl(url.partition("?")[2])]
    values = [value for name, value in named if _SECRET_NAME.search(name)]
    values += [value.split()[-1] for value in values if value.split()]
    values += [
        subprotocol.removeprefix(_KEY_PROTOCOL)
        for subprotocol in subprotocols
        if subprotocol.startswith(_KEY_PROTOCOL)
    ]
    return sorted(values, key=len, reverse=True)
