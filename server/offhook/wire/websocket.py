"""A wire over a WebSocket, from the client's side."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)
from websockets.protocol import Side, State
from websockets.uri import parse_uri

from offhook import __version__
from offhook.addresses import is_loopback
from offhook.errors import (
    InvalidRequest,
    OffhookError,
    SettingsError,
    UpstreamError,
    WireClosed,
    redact,
)
from offhook.wire.base import close_frame
from offhook.wire.frames import Frames, text_frame
from offhook.wire.handshake import check, secrets
from offhook.wire.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from websockets.protocol import Event
    from websockets.typing import Subprotocol

    from offhook.wire.base import Wire

# Frames that nobody has received yet; more wait in TCP, and then at the server.
_UNREAD_FRAMES = 16
# How long the other side has to answer a close before the connection is cut.
_FAREWELL_SECONDS = 2.0

# At DEBUG, websockets logs the headers with their keys, and what is said.
_quiet = logging.getLogger(f"{__name__}.frames")
_quiet.setLevel(logging.INFO)

_OPTIONS: dict[str, Any] = {
    "user_agent_header": f"Offhook/{__version__}",
    "compression": None,  # base64 of noise: it costs time and gains little
    "close_timeout": _FAREWELL_SECONDS,
    "max_queue": _UNREAD_FRAMES,
    "logger": _quiet,
}


@contextlib.asynccontextmanager
async def connect_websocket(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    open_timeout: float | None = 10.0,
    ping_interval: float | None = 20.0,
    ping_timeout: float | None = 20.0,
    max_size: int | None = 32 * 2**20,
) -> AsyncIterator[Wire]:
    """Hold a WebSocket connection, and close it at the end.

    The standard proxy variables hold, as for our HTTP requests, except for a server
    on this machine. Redirects are not followed: the key must go nowhere else.

    Args:
        url: A ws or wss URL, with its query.
        headers: Sent with the handshake, for example Authorization.
        subprotocols: What to offer; the server need not select one.
        open_timeout: Seconds for everything up to the end of the handshake.
        ping_interval: Seconds between pings; None sends none.
        ping_timeout: Seconds for a ping's answer, and for the server to take a text;
            then the connection is cut. Pongs come in turn: receive without pauses.
        max_size: Bytes of the longest text; a longer one closes with 1009.

    Raises:
        InvalidRequest: The URL, a header or a subprotocol cannot be sent.
        SettingsError: The proxy that the environment names cannot be used.
        HandshakeRefused: The server answered with an HTTP status.
        UpstreamError: It cannot be reached, is too slow, or is no WebSocket server.
    """
    _check_url(url)
    check(headers or {}, subprotocols)
    opening = _Connect(
        url,
        subprotocols=_typed(subprotocols) or None,
        additional_headers=headers,
        proxy=None if _is_local(url) else True,
        open_timeout=open_timeout,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        max_size=max_size,
        **_OPTIONS,
    )
    connection = await _opened(opening, secrets(url, headers or {}, subprotocols))
    wire = _WebSocket(connection, ping_timeout)
    try:
        yield wire
    finally:
        await wire.close()


class _Connection(Frames, ClientConnection, asyncio.BufferedProtocol):
    """websockets' connection, with a short way past its queue."""

    _head = b""

    @property
    def answered(self) -> int | None:
        """The HTTP status of an answer that is no WebSocket's, as far as it came."""
        found = re.match(rb"HTTP/1\.[01] (\d{3})\b", self._head)
        return int(found[1]) if found and found[1] != b"101" else None

    def buffer_updated(self, nbytes: int) -> None:
        if self._framed:
            super().buffer_updated(nbytes)
            return
        # The answer to the handshake, and perhaps the first frames.
        data = bytes(self.get_buffer(0)[:nbytes])
        self._head += data
        answer, end, frames = self._head.partition(b"\r\n\r\n")
        if end and answer.startswith(b"HTTP/1.1 101 "):
            self.data_received(data[: len(data) - len(frames)])
            self.begin_frames()
            self._head = b""
            self._split(frames)
        else:
            self._head = answer + end  # and nothing of a refusal's body
            self.data_received(data)

    def process_event(self, event: Event) -> None:
        # Behind one that is queued, none may go the short way.
        self.waited_for = False
        super().process_event(event)


class _Connect(connect):
    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, create_connection=_Connection, **options)

    def process_redirect(self, exc: Exception) -> Exception | str:
        # Subprotocols would go along, and of the headers all but Authorization.
        return exc


async def _opened(opening: _Connect, hidden: Sequence[str]) -> _Connection:
    try:
        connection = await opening
        assert isinstance(connection, _Connection)
        return connection
    except Exception as error:
        made = getattr(opening, "connection", None)
        status = made.answered if isinstance(made, _Connection) else None
        if status is not None and not isinstance(error, InvalidStatus):
            # Its body is too long, or was cut.
            raise refusal(status, b"", None, str) from None
        # Without its cause, which may name the URL or a header.
        raise _fault(error, opening.open_timeout, hidden) from None


class _WebSocket:
    def __init__(self, connection: _Connection, patience: float | None) -> None:
        self._connection = connection
        self._masks = connection.protocol.side is Side.CLIENT
        self._patience = patience
        self._left = False

    @property
    def closed(self) -> WireClosed | None:
        if self._connection.state is not State.CLOSED:
            return None
        return _closure(self._connection.protocol.close_exc)

    def offer(self, text: str) -> bool:
        connection = self._connection
        if connection.paused or connection.state is not State.OPEN:
            return False
        if connection.transport.is_closing():
            return False
        connection.transport.write(text_frame(text, masked=self._masks))
        return True

    def divert(self, take: Callable[[str], bool]) -> None:
        self._connection.divert(take)

    async def send(self, text: str) -> None:
        if self.offer(text):
            return
        try:
            # websockets waits for room without end, even to send a ping.
            async with asyncio.timeout(self._patience):
                await self._connection.send(text)
        except TimeoutError:
            self._connection.transport.abort()
            await self._connection.wait_closed()
        except ConnectionClosed as error:
            raise _closure(error) from None
        if closed := self.closed:
            raise closed

    async def receive(self) -> str:
        while True:
            try:
                self._connection.waited_for = True
                data = await self._connection.recv()
            except ConnectionClosed as error:
                raise _closure(error) from None
            except ConcurrencyError:
                if not self._left:
                    raise
                await self._connection.wait_closed()
                raise _closure(self._connection.protocol.close_exc) from None
            finally:
                self._connection.waited_for = False
            # After our close, read on: the other side's is behind it.
            text = None if self._left else _text(data)
            if text is not None:
                return text

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            while True:
                yield await self.receive()
        except WireClosed:
            return

    async def close(self, code: int = 1000, reason: str = "") -> None:
        code, reason = close_frame(code, reason)
        self._left = True
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS), asyncio.TaskGroup() as group:
                group.create_task(self._drain())
                await self._connection.close(code, reason)
        except TimeoutError:
            pass
        finally:
            self._connection.transport.abort()
        await self._connection.wait_closed()

    async def _drain(self) -> None:
        # Unread frames would hold back the other side's close.
        with contextlib.suppress(WireClosed):
            await self.receive()


def _text(data: str | bytes) -> str | None:
    """Read a frame; some servers send their texts in binary frames."""
    try:
        return data if isinstance(data, str) else data.decode()
    except UnicodeDecodeError:
        return None


def _closure(error: ConnectionClosed) -> WireClosed:
    # What was sent tells why this side failed the connection.
    close = error.rcvd or error.sent
    return WireClosed(close.code, close.reason) if close else WireClosed(1006, "")


def _typed(subprotocols: Sequence[str]) -> list[Subprotocol]:
    values: list[Any] = list(subprotocols)
    return values


def _fault(
    error: Exception, seconds: float | None, hidden: Sequence[str]
) -> OffhookError:
    """Say in our words why there is no connection."""
    match error:
        case InvalidStatus():
            response = error.response
            return refusal(
                response.status_code,
                bytes(response.body or b""),
                response.headers.get("Retry-After"),
                lambda text: redact(text, *hidden),
            )
        case InvalidProxy() | ImportError():
            return SettingsError(
                "The proxy that the environment names cannot be used: check "
                "HTTPS_PROXY and ALL_PROXY, and for SOCKS run: "
                "pip install python-socks",
                code="invalid_proxy",
            )
        case OSError() | InvalidHandshake() | EOFError():
            return _network_fault(error, seconds)
        case UnicodeError():
            return _no_url()  # its host is no name
    raise error


def _check_url(url: str) -> None:
    try:
        parse_uri(url)
    except (InvalidURI, ValueError):
        raise _no_url() from None


def _no_url() -> InvalidRequest:
    return InvalidRequest(
        "A WebSocket needs a ws or wss URL with a host, for example "
        "wss://api.openai.com/v1/realtime?model=gpt-realtime",
        code="invalid_url",
    )


def _network_fault(error: Exception, seconds: float | None) -> UpstreamError:
    match error:
        case TimeoutError():
            limit = "in time" if seconds is None else f"within {seconds:g} seconds"
            return UpstreamError(
                f"The server did not open the connection {limit}: try again later.",
                code="upstream_timeout",
                status=504,
            )
        case ssl.SSLError():
            why = getattr(error, "verify_message", "") or error.reason
            return UpstreamError(
                f"No secure connection to the server ({why}): check the URL, and the "
                "certificates of this machine (SSL_CERT_FILE).",
                code="upstream_tls",
            )
        case OSError() | ProxyError() | EOFError():
            return UpstreamError(
                "The server cannot be reached: check the URL, the network and the "
                "proxy, if there is one.",
                code="upstream_unreachable",
            )
    return UpstreamError(
        "What answers there does not speak WebSocket: check the URL.",
        code="upstream_malformed",
    )


def _is_local(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False  # no URL: told when it is used
