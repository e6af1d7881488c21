"""Where a call from the command line goes, and the key for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import httpx

from offhook.addresses import is_loopback
from offhook.errors import InvalidRequest, UpstreamError, redact

if TYPE_CHECKING:
    from offhook.settings import CallSettings


class Target(NamedTuple):
    """Where a call goes.

    Attributes:
        url: A ws or wss URL, or the http or https one that takes offers.
        mint: Where a key for it is to be had.
    """

    url: str
    mint: str

    @property
    def is_socket(self) -> bool:
        """Whether the call goes over a WebSocket, and not over WebRTC."""
        return self.url.startswith("ws")


def target_of(url: str) -> Target:
    """Complete a URL: of a page or an API, of their calls, or of a WebSocket.

    Raises:
        InvalidRequest: It is none of these.
    """
    scheme, host, path, query, _ = urlsplit(url)
    if scheme not in ("http", "https", "ws", "wss") or not host:
        raise InvalidRequest(
            "Whom to call is an http, https, ws or wss URL, for example "
            "http://localhost:8040/ or wss://api.openai.com/v1/realtime",
            code="invalid_url",
        )
    path = path.rstrip("/").removesuffix("/calls").removesuffix("/realtime")
    base = path if path.endswith("/v1") else f"{path}/v1"
    plain = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    mint = urlunsplit((plain, host, f"{base}/realtime/client_secrets", "", ""))
    way = f"{base}/realtime" if plain != scheme else f"{base}/realtime/calls"
    return Target(urlunsplit((scheme, host, way, query, "")), mint)


async def key_for(target: Target, settings: CallSettings) -> tuple[Target, str]:
    """Ask the server for a key, as a page does.

    Returns:
        Where to call with it, and the key.

    Raises:
        UpstreamError: It gives none; the message says what to do.
    """
    body: dict[str, Any] = {"agent": settings.agent} if settings.agent else {}
    if settings.consent is not None:
        body["consent"] = {"recording": settings.consent}
    host = urlsplit(target.mint).hostname or ""
    try:
        # No proxy leads to a server on this machine.
        async with httpx.AsyncClient(trust_env=not is_loopback(host)) as client:
            answer = await client.post(target.mint, json=body)
            minted = answer.json()
    except (httpx.HTTPError, ValueError):
        raise UpstreamError(
            f"No key is to be had at {target.mint}: check the URL, or pass --key.",
            code="upstream_unreachable",
        ) from None
    if not (answer.is_success and isinstance(minted, dict) and "value" in minted):
        raise _refused(answer.status_code, minted)
    # In key mode the upstream's own address comes along.
    url = target.url if target.is_socket else minted.get("calls_url", target.url)
    return target._replace(url=url), str(minted["value"])


def _refused(status: int, answer: Any) -> UpstreamError:
    error = answer.get("error") if isinstance(answer, dict) else None
    told = error if isinstance(error, dict) else {}
    said = redact(str(told.get("message") or "it gave no reason."))
    flags = {
        "agent": "Pass one with --agent.",
        "consent.recording": "If you agree, pass --consent true.",
    }
    hint = flags.get(str(told.get("param")), "Pass one with --key.")
    return UpstreamError(
        f"The server gave no key ({status}): {said} {hint}",
        code="upstream_rejected",
    )
