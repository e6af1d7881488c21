"""The one request that begins a call: an offer goes out, an answer comes back."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

import httpx

from offhook import __version__
from offhook.addresses import is_loopback
from offhook.errors import InvalidRequest, UpstreamError, redact
from offhook.wire.handshake import check, secrets
from offhook.wire.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_BODY = 256 * 1024


Signalling = Callable[[str], Awaitable["Answer"]]


class Answer(NamedTuple):
    """What a server answers an offer.

    Attributes:
        sdp: Its description of the session.
        call_id: The id of the call; None if the server gives none.
    """

    sdp: str
    call_id: str | None


async def exchange(
    url: str, key: str, offer: str, headers: Mapping[str, str]
) -> Answer:
    """Post an offer, once; redirects are not followed, as the key must go nowhere else.

    The standard proxy variables hold, except for a server on this machine. Cancelling
    does not undo a call that the server has begun; it ends when nobody connects.

    Args:
        url: An http or https URL, the whole of it.
        key: Sent as a bearer token, unless the headers have another Authorization.
        offer: The SDP.
        headers: Sent with it.

    Raises:
        InvalidRequest: The URL or a header cannot be sent.
        HandshakeRefused: The server answered with another status than 2xx.
        UpstreamError: It cannot be reached, or what it answers is no SDP.
    """
    sent = {
        "Authorization": f"Bearer {key}",
        "User-Agent": f"Offhook/{__version__}",
        **headers,
        "Content-Type": "application/sdp",
    }
    check(sent)
    target = _target(url)
    try:
        status, got, body = await _posted(target, offer, sent)
    except httpx.HTTPError as error:
        raise _fault(error) from None
    if not 200 <= status < 300:
        hidden = secrets(url, sent)
        retry_after = got.get("Retry-After")
        raise refusal(status, body, retry_after, lambda text: redact(text, *hidden))
    # The content type says nothing: OpenAI's is text/plain.
    if not body.startswith(b"v=0"):
        raise _malformed("its body is not SDP")
    # OpenAI's Location is "/v1/realtime/calls/rtc_…", relative to its host.
    location = got.get("Location", "").partition("?")[0].rstrip("/")
    return Answer(body.decode(errors="replace"), location.rpartition("/")[2] or None)


async def _posted(
    url: httpx.URL, offer: str, headers: Mapping[str, str]
) -> tuple[int, httpx.Headers, bytes]:
    async with (
        # The whole attempt has its limit elsewhere.
        httpx.AsyncClient(timeout=None, trust_env=not is_loopback(url.host)) as client,
        client.stream("POST", url, content=offer, headers=dict(headers)) as response,
    ):
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _MAX_BODY:
                raise _malformed("it is too long")
        return response.status_code, response.headers, bytes(body)


def _target(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidRequest(
            "WebRTC needs the http or https URL that takes offers, for example "
            "https://api.openai.com/v1/realtime/calls",
            code="invalid_url",
        )
    return parsed


def _fault(error: httpx.HTTPError) -> UpstreamError:
    if isinstance(error, httpx.NetworkError | httpx.ProxyError):
        if isinstance(_root(error), ssl.SSLError):
            return UpstreamError(
                "No secure connection to the server: check the URL, and the "
                "certificates of this machine (SSL_CERT_FILE).",
                code="upstream_tls",
            )
        return UpstreamError(
            "The server cannot be reached: check the URL, the network and the proxy, "
            "if there is one.",
            code="upstream_unreachable",
        )
    return _malformed("it is not HTTP")


def _root(error: BaseException) -> BaseException:
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error


def _malformed(reason: str) -> UpstreamError:
    return UpstreamError(
        f"The server's answer cannot be used: {reason}. Check the URL.",
        code="upstream_malformed",
    )
