"""What Twilio signs: requests to the URL that it was given, with their fields.

Source: "Validating Signatures from Twilio" in Twilio's documentation on webhooks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from itertools import product
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from offhook.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from starlette.requests import HTTPConnection

_HEADER = "x-twilio-signature"
_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}


def signature(token: str, url: str, fields: Iterable[tuple[str, str]] = ()) -> str:
    """Sign a request as Twilio does.

    Args:
        token: The account's auth token.
        url: As Twilio knows it, with its query.
        fields: Of a form; a value that a name has twice counts once.
    """
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    digest = hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def signed_url(
    connection: HTTPConnection,
    token: str,
    fields: Collection[tuple[str, str]] = (),
    base: str | None = None,
) -> str:
    """Return the URL that Twilio has asked for: the one that the signature fits.

    A proxy changes it on the way here, and none but Twilio can sign. So whatever the
    signature fits is the right one, wherever it was found.

    Args:
        connection: A request, or a WebSocket's handshake.
        token: The account's auth token.
        fields: The form that came with it.
        base: The URL without its path, if a proxy tells nothing of it.

    Raises:
        Forbidden: It fits none.
    """
    given = connection.headers.get(_HEADER, "")
    for url in _candidates(connection, base):
        if hmac.compare_digest(signature(token, url, fields).encode(), given.encode()):
            return url
    raise Forbidden(
        "The X-Twilio-Signature does not fit: check auth_token and, where a proxy "
        "changes the address, public_url.",
        code="invalid_signature",
    )


def _candidates(connection: HTTPConnection, base: str | None) -> Iterator[str]:
    websocket = connection.scope["type"] == "websocket"
    schemes = ("wss", "ws", "https", "http") if websocket else ("https", "http")
    headers = connection.headers
    path, query = connection.url.path, connection.url.query
    hosts = [headers.get("x-forwarded-host", "").partition(",")[0].strip()]
    hosts.append(headers.get("host", ""))
    if base is not None:
        parts = urlsplit(base)
        hosts, path = [parts.netloc], parts.path.rstrip("/") + path
    # Twilio leaves ports out or not, and is said to end a WebSocket's path in a slash.
    for scheme, host, slash in product(schemes, dict.fromkeys(hosts), ("", "/")):
        if host:
            for netloc in _with_and_without_port(host, _PORTS[scheme]):
                url = f"{scheme}://{netloc}{path}{slash}"
                yield f"{url}?{query}" if query else url


def _with_and_without_port(host: str, port: int) -> tuple[str, str]:
    name, colon, digits = host.rpartition(":")
    if colon and digits.isdigit():
        return host, name
    return host, f"{host}:{port}"
