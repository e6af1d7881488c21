"""Who is asking: what a request says of its caller."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from offhook.addresses import is_loopback
from offhook.errors import Unauthorized

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection


def bearer(request: HTTPConnection) -> str:
    """Read the key that a request brings.

    Raises:
        Unauthorized: It brings none.
    """
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthorized(
            "The key is missing: send it in the Authorization header, as 'Bearer …'.",
            code="invalid_api_key",
        )
    return key.strip()


def address_of(request: HTTPConnection) -> str | None:
    """Whom a request comes from, as far as the server tells; None if it does not.

    Of IPv6 it is the network: who has one address there has 2^64.
    """
    if request.client is None:
        return None
    host = request.client.host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host  # as a proxy's header has it
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def is_local(request: HTTPConnection) -> bool:
    """Whether the caller sits at this machine, for all that can be told.

    A proxy's header means that it is somewhere else; that a page can send one, too,
    gains it nothing. The Host has to be a loopback name; see `is_rebound`.
    """
    proxied = any(
        name == "forwarded" or name.startswith("x-forwarded-")
        for name in request.headers
    )
    client = request.client
    return (
        not proxied
        and client is not None
        and is_loopback(client.host)
        and _asks_for_loopback(request)
    )


def is_rebound(request: HTTPConnection) -> bool:
    """Whether a foreign name was made to lead here (DNS rebinding).

    A page of such a name is of the same origin as what it asks, for all that the
    browser knows, though this machine never had that name. So may be what a proxy on
    this machine passes on: no header tells them apart, as a page can send any.
    """
    return _comes_over_loopback(request) and not _asks_for_loopback(request)


def is_own_page(request: HTTPConnection) -> bool:
    """Whether no other site's page sent this, for all that can be told.

    Browsers say where a request comes from: in `Sec-Fetch-Site`, which they leave out
    over plain HTTP, and in `Origin`, which they leave out of simple reading. Scripts
    say neither. A link from elsewhere may open a page: its site sees nothing of it.
    """
    headers = request.headers
    site = headers.get("sec-fetch-site")
    if site is None:
        _, _, asked = headers.get("origin", "").partition("://")
        own = bool(asked) and asked.lower() == headers.get("host", "").lower()
        return own or "origin" not in headers
    opens = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
    return site in ("same-origin", "none") or (
        opens == ("navigate", "document") and request.scope.get("method") == "GET"
    )


def _comes_over_loopback(request: HTTPConnection) -> bool:
    # Both ends, as servers may take a proxy's header for the client's.
    ends = (request.scope.get("client"), request.scope.get("server"))
    return any(end is not None and is_loopback(end[0]) for end in ends)


def _asks_for_loopback(request: HTTPConnection) -> bool:
    return is_loopback(_without_port(request.headers.get("host", "")))


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
