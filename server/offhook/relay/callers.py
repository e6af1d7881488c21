"""Who is asking: what a request says of its caller."""

from __future__ import annotations

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
            "The key is missing: send it as Authorization: Bearer ek_…",
            code="invalid_api_key",
        )
    return key.strip()


def is_local(request: HTTPConnection) -> bool:
    """Whether the caller sits at this machine, for all that can be told.

    The Host has to be a loopback name too; see `is_rebound`.
    """
    return _comes_from_loopback(request) and _asks_for_loopback(request)


def is_rebound(request: HTTPConnection) -> bool:
    """Whether a foreign name was made to lead here (DNS rebinding).

    A page of such a name is of the same origin as what it asks, for all that the
    browser knows, though this machine never had that name.
    """
    return _comes_from_loopback(request) and not _asks_for_loopback(request)


def _comes_from_loopback(request: HTTPConnection) -> bool:
    # A proxy's header means that the caller is somewhere else.
    if any(
        name == "forwarded" or name.startswith("x-forwarded-")
        for name in request.headers
    ):
        return False
    return request.client is not None and is_loopback(request.client.host)


def _asks_for_loopback(request: HTTPConnection) -> bool:
    return is_loopback(_without_port(request.headers.get("host", "")))


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
