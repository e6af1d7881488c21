"""OpenAI's API, or any server that has the same one.

Exactly one request per method and no retries: a create may be billed. Redirects
are not followed: a 3xx is an error, because its Location would look like a call id
and because the API key must go nowhere else.

What the upstream says of a failure may quote the session: it goes to the log, never
into an error, which a caller may see.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

import httpx

from offhook import __version__
from offhook.addresses import is_loopback
from offhook.errors import (
    HandshakeRefused,
    InvalidRequest,
    NotFound,
    OffhookError,
    SettingsError,
    UpstreamError,
    WireClosed,
)
from offhook.events import Event, parse, serialise
from offhook.protocol.disclosure import logged
from offhook.upstream.base import Answer, Opened
from offhook.wire.websocket import connect_websocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from offhook.wire.base import Wire

_log = logging.getLogger(__name__)

DEFAULT_URL = "https://api.openai.com/v1"

_MAX_BODY = 256 * 1024
_NO_CALL = "No session found for the provided call_id"
_KEYLESS = "offhook"  # local servers want some key and take any

# Ids are opaque (`rtc_u2_…`, `rtc_…`), but become a segment of our paths.
_CALL_ID = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,127}")


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: httpx.Headers
    body: bytes


def normalise(url: str) -> httpx.URL:
    """Check a base URL, and complete it with /v1 where it has no path.

    Raises:
        SettingsError: It is not the base URL of an HTTP API.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SettingsError(
            f"OFFHOOK_UPSTREAM must be an http or https URL, for example {DEFAULT_URL}",
            code="invalid_settings",
        )
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise SettingsError(
            "OFFHOOK_UPSTREAM must be a plain base URL: put the key into "
            "OPENAI_API_KEY, and leave out what follows ? or #",
            code="invalid_settings",
        )
    return parsed.copy_with(path=parsed.path.rstrip("/") or "/v1")


class OpenAIUpstream:
    """An upstream that speaks OpenAI's API.

    Belongs to the event loop in which it is first used.
    """

    def __init__(
        self, base_url: str, api_key: str | None = None, *, seconds: float = 20.0
    ) -> None:
        """Prepare a connection pool; nothing is sent yet.

        Args:
            base_url: Where the API is; /v1 is added if there is no path.
            api_key: The server's key; servers on the own machine need none.
            seconds: How long one request may take altogether.

        Raises:
            SettingsError: The URL or the key cannot be used.
        """
        self.base_url = normalise(base_url)
        self._key = api_key or ""
        if not self._key.isascii() or not self._key.isprintable():
            raise SettingsError(
                "OPENAI_API_KEY contains characters that no API key has: copy it again",
                code="invalid_settings",
            )
        self._authorization = {"Authorization": f"Bearer {self._key or _KEYLESS}"}
        self._seconds = seconds
        self._client = httpx.AsyncClient(
            headers={
                **self._authorization,
                "User-Agent": f"offhook/{__version__}",
            },
            timeout=None,  # `_post` has one for the whole exchange
            follow_redirects=False,
            # The standard proxy and certificate variables hold, except for a server
            # on this machine, which no proxy can reach.
            trust_env=not is_loopback(self.base_url.host),
        )

    async def mint(self, session: Mapping[str, Any], seconds: int) -> dict[str, Any]:
        """Make a client secret; the browser finds its way by `calls_url`."""
        reply = await self._post(
            "/realtime/client_secrets",
            session,
            content=json.dumps(
                {
                    "expires_after": {"anchor": "created_at", "seconds": seconds},
                    "session": session,
                }
            ),
            headers={"Content-Type": "application/json"},
        )
        secret = _json(reply.body)
        if not isinstance(secret.get("value"), str):
            raise _malformed("its client secret has no value")
        return {**secret, "calls_url": f"{self.base_url}/realtime/calls"}

    async def answer(self, offer: bytes, session: Mapping[str, Any]) -> Answer:
        """Start a call with the offer's bytes as they are.

        Cancelling does not undo a call that the upstream has already started.
        """
        reply = await self._post(
            "/realtime/calls",
            session,
            # As openai-python sends it: a type for each part and no file names.
            files=[
                ("sdp", (None, offer, "application/sdp")),
                ("session", (None, json.dumps(session), "application/json")),
            ],
            headers={"Accept": "application/sdp"},
        )
        # OpenAI's Location is "/v1/realtime/calls/rtc_…", relative to its host.
        location = reply.headers.get("Location", "")
        call_id = location.partition("?")[0].rstrip("/").rpartition("/")[2]
        if not _CALL_ID.fullmatch(call_id):
            raise _malformed("it gave no Location with a call id")
        # The content type says nothing: OpenAI's is text/plain.
        if not reply.body.startswith(b"v=0"):
            raise _malformed("its body is not SDP")
        return Answer(call_id, reply.body)

    @contextlib.asynccontextmanager
    async def connect(self, session: Mapping[str, Any]) -> AsyncIterator[Opened]:
        """Hold a session over WebSocket, and close it at the end."""
        model = session.get("model")
        query = f"?model={quote(str(model), safe='')}" if model else ""
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._seconds):
                    wire = await stack.enter_async_context(self._socket(query))
                    effective = await self._set_up(wire, session)
            except TimeoutError:
                raise self._late() from None
            except HandshakeRefused as error:
                self._note(error.message, session)
                raise _fault(error.http_status, error.retry_after) from None
            except WireClosed as closed:
                self._note(str(closed), session)
                raise UpstreamError(
                    "The upstream closed the connection instead of opening a session: "
                    "the server's log has its words.",
                    code=closed.code,
                ) from None
            yield Opened(wire, effective)

    @contextlib.asynccontextmanager
    async def attach(self, call_id: str) -> AsyncIterator[Wire]:
        """Hold a sideband to a call, and close it at the end."""
        if not _CALL_ID.fullmatch(call_id):
            raise NotFound(_NO_CALL, code="call_id_not_found")
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._seconds):
                    sideband = self._socket(f"?call_id={call_id}")
                    wire = await stack.enter_async_context(sideband)
            except TimeoutError:
                raise self._late() from None
            except HandshakeRefused as error:
                if error.http_status == 404:
                    raise NotFound(_NO_CALL, code="call_id_not_found") from None
                raise _fault(error.http_status, error.retry_after) from None
            yield wire

    def _socket(self, query: str) -> AbstractAsyncContextManager[Wire]:
        # "https" becomes "wss".
        url = f"{self.base_url}/realtime{query}".replace("http", "ws", 1)
        return connect_websocket(url, headers=self._authorization, open_timeout=None)

    async def hang_up(self, call_id: str) -> None:
        """End a call."""
        if not _CALL_ID.fullmatch(call_id):
            raise NotFound(_NO_CALL, code="call_id_not_found")
        await self._post(f"/realtime/calls/{call_id}/hangup")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(
        self, path: str, session: Mapping[str, Any] | None = None, **request: Any
    ) -> _Reply:
        try:
            # Not httpx's own timeouts, which start anew with every chunk.
            async with asyncio.timeout(self._seconds):
                reply = await self._exchange(path, **request)
        except TimeoutError:
            raise self._late() from None
        except (httpx.NetworkError, httpx.ProxyError):
            raise UpstreamError(
                "The upstream cannot be reached: check OFFHOOK_UPSTREAM and the "
                "network.",
                code="upstream_unreachable",
            ) from None
        except httpx.HTTPError:
            raise _malformed("it is not HTTP") from None
        if not 200 <= reply.status < 300:
            self._refused(reply, session)
        return reply

    async def _exchange(self, path: str, **request: Any) -> _Reply:
        url = f"{self.base_url}{path}"
        async with self._client.stream("POST", url, **request) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MAX_BODY:
                    raise _malformed("it is too long")
            return _Reply(response.status_code, response.headers, bytes(body))

    async def _set_up(self, wire: Wire, session: Mapping[str, Any]) -> dict[str, Any]:
        await self._until(wire, "session.created", session)
        await wire.send(serialise({"type": "session.update", "session": dict(session)}))
        updated = await self._until(wire, "session.updated", session)
        effective = updated.get("session")
        if not isinstance(effective, dict):
            raise _malformed("its session is not an object")
        return effective

    async def _until(self, wire: Wire, kind: str, session: Mapping[str, Any]) -> Event:
        """Wait for an event of a type; what else comes so early is about nothing."""
        while True:
            try:
                event = parse(await wire.receive())
            except InvalidRequest:
                raise _malformed("it sends no events") from None
            if event.get("type") == kind:
                return event
            if event.get("type") == "error":
                error = event.get("error")
                said = error.get("message") if isinstance(error, dict) else ""
                self._note(str(said), session)
                raise UpstreamError(
                    "The upstream rejected the session: the server's log has its "
                    "words.",
                    code="upstream_rejected",
                )

    def _late(self) -> UpstreamError:
        return UpstreamError(
            f"The upstream did not answer within {self._seconds:g} seconds.",
            code="upstream_timeout",
            status=504,
        )

    def _refused(self, reply: _Reply, session: Mapping[str, Any] | None) -> NoReturn:
        """Say whose fault a refusal is."""
        message, code = _error_of(reply.body)
        if code == "call_id_not_found":
            raise NotFound(_NO_CALL, code=code)
        if session is not None:
            self._note(message, session)
        if reply.status == 400 and code == "invalid_offer":
            raise InvalidRequest(
                "The upstream cannot use this offer: make a new one.", code=code
            )
        raise _fault(reply.status, reply.headers.get("Retry-After"))

    def _note(self, said: str, session: Mapping[str, Any]) -> None:
        _log.warning("the upstream said: %r", logged(said, session, self._key))


def _fault(status: int, retry_after: str | None) -> OffhookError:
    if status in (401, 403):
        return _unauthorized()
    if status == 429:
        return UpstreamError(
            "The upstream has too many requests or no credit left: try again later.",
            code="upstream_rate_limited",
            status=503,
            retry_after=_retry_after(retry_after),
        )
    if 300 <= status < 400:
        return UpstreamError(
            f"The upstream answered with a redirect ({status}): set "
            "OFFHOOK_UPSTREAM to the address where it really is.",
            code="upstream_redirected",
        )
    if status >= 500:
        return UpstreamError(
            f"The upstream failed ({status}): try again later.",
            code="upstream_failed",
            retry_after=_retry_after(retry_after),
        )
    return UpstreamError(
        f"The upstream rejected the request ({status}): the server's log has its "
        "words.",
        code="upstream_rejected",
    )


def _unauthorized() -> UpstreamError:
    return UpstreamError(
        "The upstream refused the server's API key: check OPENAI_API_KEY.",
        code="upstream_unauthorized",
    )


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _malformed("its body is not a JSON object")
    return value


def _error_of(body: bytes) -> tuple[str, str | None]:
    try:
        error = _json(body).get("error")
    except UpstreamError:
        error = None
    if not isinstance(error, dict):
        return "it gave no reason.", None
    message, code = error.get("message"), error.get("code")
    return (
        message if isinstance(message, str) and message else "it gave no reason.",
        code if isinstance(code, str) else None,
    )


def _retry_after(value: str | None) -> str | None:
    return value if value and len(value) <= 64 and value.isascii() else None


def _malformed(reason: str) -> UpstreamError:
    return UpstreamError(
        f"The upstream's answer cannot be used: {reason}.", code="upstream_malformed"
    )
