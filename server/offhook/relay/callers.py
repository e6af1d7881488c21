"""Who is asking: what a request says of its caller."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from offhook.errors import Unauthorized

if TYPE_CHECKING:
    from starlette.requests import Request


def bearer(request: Request) -> str:
    """Read the key that a request brings.

    Raises:
        Unauthorized: It brings none.
    """
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthorized(
            "The key is missing: send it as Authorization: Bearer ek_…",
            code="invalid_api_key",
        )
    return key.strip()


def is_local(request: Request) -> bool:
    """Whether the caller sits at this machine, for all that can be told.

    The connection has to come from loopback and the Host to be a loopback name (a
    foreign name that resolves to loopback is not). A proxy's header means that the
    caller is somewhere else.
    """
    if any(
        name == "forwarded" or name.startswith("x-forwarded-")
        for name in request.headers
    ):
        return False
    if request.client is None or not is_loopback(request.client.host):
        return False
    return is_loopback(_without_port(request.headers.get("host", "")))


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
