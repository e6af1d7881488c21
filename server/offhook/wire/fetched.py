"""A wire over a WebSocket of JavaScript's, which a `fetch` was upgraded to."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from offhook.errors import InvalidRequest, UpstreamError, redact
from offhook.wire.handshake import check, secrets
from offhook.wire.pushed import Pushed
from offhook.wire.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from offhook.wire.base import Wire

_BROKEN = (1006, "")
_BYE = (1000, "")

# Takes a URL and the options, and gives what JavaScript's Response is like.
Fetch = Callable[[str, dict[str, Any]], Awaitable[Any]]


class Socket(Protocol):
    """What is needed of a WebSocket of JavaScript's, as it is after `accept`."""

    def send(self, text: str) -> None:
        """Send a text, or raise."""

    def close(self, code: int, reason: str) -> None:
        """Begin to close, or raise."""

    def addEventListener(self, name: str, callback: Any) -> None:
        """Call back at each `message`, at `close` and at `error`."""

    def removeEventListener(self, name: str, callback: Any) -> None:
        """Stop calling back."""


def usable_fetch(given: Fetch | None) -> Fetch | None:
    """Find a `fetch` for Python: the given one, or that of the JavaScript runtime.

    Args:
        given: A function of Python's or, in Pyodide, of JavaScript's.
    """
    if "pyodide" not in sys.modules:
        return given
    chosen = given or import_module("js").fetch
    if isinstance(chosen, import_module("pyodide.ffi").JsProxy):
        return partial(_javascript_fetch, chosen)
    return chosen


@contextlib.asynccontextmanager
async def fetch_websocket(
    url: str,
    *,
    fetch: Fetch,
    headers: Mapping[str, str] | None = None,
    open_timeout: float | None = 10.0,
) -> AsyncIterator[Wire]:
    """Hold a WebSocket connection that begins with a fetch, and close it at the end.

    Args:
        url: A ws, wss, http or https URL, with its query.
        fetch: The way to the server.
        headers: Sent with the request, besides Upgrade.
        open_timeout: Seconds for everything up to the end of the upgrade.

    Raises:
        InvalidRequest: The URL or a header cannot be sent, or `fetch` cannot upgrade.
        HandshakeRefused: The server answered with another HTTP status.
        UpstreamError: It cannot be reached, is too slow, or is no WebSocket server.
    """
    sent = {"Upgrade": "websocket", **(headers or {})}
    check(sent)
    hidden = secrets(url, sent)
    options = {"method": "GET", "headers": sent}
    try:
        async with asyncio.timeout(open_timeout):
            response = await fetch(_http(url), options)
            # A browser's answers have no such attribute, and refusals have a null.
            socket = getattr(response, "webSocket", None)
            if not socket:
                raise await _refused(response, hidden)
            # Without a pause before the listeners: no message may come between.
            socket.accept()
            wire = _Fetched(socket).wire
    except (InvalidRequest, UpstreamError):
        raise
    except TimeoutError:
        raise UpstreamError(
            "The server did not open the connection in time: try again later.",
            code="upstream_timeout",
            status=504,
        ) from None
    except Exception as error:
        # Without its cause, which may name the URL or a header.
        raise _unreachable(error, hidden) from None
    try:
        yield wire
    finally:
        await wire.close()


class _Fetched:
    """Moves texts between a socket and its wire, until either side closes."""

    def __init__(self, socket: Socket) -> None:
        self.wire = Pushed(self._send, self._leave)
        self._socket = socket
        self._loop = asyncio.get_running_loop()
        handlers = {"message": self._take, "close": self._left, "error": self._broke}
        self._listeners = {
            name: _lasting(handler) for name, handler in handlers.items()
        }
        for name, listener in self._listeners.items():
            socket.addEventListener(name, listener)

    async def _send(self, text: str) -> None:
        try:
            self._socket.send(text)
        except Exception:
            # Whatever JavaScript throws, the connection is of no more use.
            self._broke(None)

    async def _leave(self) -> None:
        if closed := self.wire.closed:
            self._part(closed.close_code, closed.reason)

    def _take(self, event: Any) -> None:
        if isinstance(event.data, str):
            self.wire.take(event.data)
            if closed := self.wire.closed:  # too much is unread
                self._part(closed.close_code, closed.reason)

    def _left(self, event: Any) -> None:
        self.wire.end(int(event.code), str(event.reason))
        self._part(*_BYE)

    def _broke(self, _: Any) -> None:
        self.wire.end(*_BROKEN)
        self._part(*_BYE)

    def _part(self, code: int, reason: str) -> None:
        listeners, self._listeners = self._listeners, {}
        if not listeners:
            return
        for name, listener in listeners.items():
            self._socket.removeEventListener(name, listener)
        # Workers want a close answered; elsewhere that may be an error.
        with contextlib.suppress(Exception):
            self._socket.close(code, reason)
        # Later: one of them may be what is calling.
        self._loop.call_soon(_free, *listeners.values())


def _lasting(callback: Callable[[Any], None]) -> Any:
    """Make a function that JavaScript may keep: others live for one call only."""
    if "pyodide" not in sys.modules:
        return callback
    return import_module("pyodide.ffi").create_proxy(callback)


def _free(*callbacks: Any) -> None:
    for callback in callbacks:
        if hasattr(callback, "destroy"):
            callback.destroy()


async def _javascript_fetch(fetch: Any, url: str, options: dict[str, Any]) -> Any:
    js, ffi = import_module("js"), import_module("pyodide.ffi")
    aborting = js.AbortController.new()
    converted = ffi.to_js(options, dict_converter=js.Object.fromEntries)
    converted.signal = aborting.signal
    try:
        return await fetch(url, converted)
    except asyncio.CancelledError:
        # A promise goes on by itself, and would leave an open connection behind.
        aborting.abort()
        raise
    except ffi.JsException as error:
        # Node's fetch failed because of an "invalid upgrade header".
        if "upgrade" in str(getattr(error.cause, "message", "")):
            raise InvalidRequest(
                "The fetch of this runtime cannot upgrade to a WebSocket: pass fetch= "
                "with one that can, as the README has it for Node.",
                code="missing_fetch",
            ) from None
        raise


def _http(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    name = {"wss": "https", "ws": "http"}.get(scheme.lower(), scheme.lower())
    if name not in ("https", "http") or not mark or rest[:1] in ("", "/", "?", "#"):
        raise InvalidRequest(
            "A WebSocket needs a ws or wss URL with a host, for example "
            "wss://api.openai.com/v1/realtime?model=gpt-realtime",
            code="invalid_url",
        )
    return f"{name}://{rest}"


async def _refused(response: Any, hidden: list[str]) -> UpstreamError:
    status = int(response.status)
    if status < 300:
        return UpstreamError(
            "What answers there does not speak WebSocket: check the URL.",
            code="upstream_malformed",
        )
    retry_after = response.headers.get("Retry-After")
    return refusal(
        status,
        str(await response.text()).encode(),
        retry_after if isinstance(retry_after, str) else None,
        lambda text: redact(text, *hidden),
    )


def _unreachable(error: Exception, hidden: list[str]) -> UpstreamError:
    why = redact(str(error), *hidden)[:300] or type(error).__name__
    return UpstreamError(
        f"The server cannot be reached ({why}): check the URL and the network.",
        code="upstream_unreachable",
    )
