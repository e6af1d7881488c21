"""Routes that Twilio calls: a telephone number that an agent answers."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from xml.etree import ElementTree

from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from offhook.archive.records import CallRecord
from offhook.errors import (
    Forbidden,
    InvalidRequest,
    OffhookError,
    SettingsError,
    Unauthorized,
    WireClosed,
)
from offhook.events import parse, serialise
from offhook.http.body import read_form
from offhook.http.failures import on_offhook_error
from offhook.http.handshake import refuse_socket
from offhook.protocol.twilio import MediaStream, Started
from offhook.relay.callers import is_local
from offhook.relay.grants import Grants
from offhook.relay.signature import signed_url
from offhook.wire.accepted import AcceptedWire

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection, Request
    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocket

    from offhook.relay.calls import LiveCall
    from offhook.relay.routes import Relay
    from offhook.transports.base import ApiKey
    from offhook.wire.accepted import AsgiWebSocket
    from offhook.wire.base import Wire

_log = logging.getLogger(__name__)

_VOICE = "/twilio/voice"
_MEDIA = "/twilio/media"
_TOKEN = "offhook_token"
_TOLD = ("From", "To")
# Between the answer to Twilio and its WebSocket there is no more than a handshake.
_TOKEN_SECONDS = 60
_BODY_SECONDS = 5.0
_START_SECONDS = 10.0
# `connected`, then `start`.
_FIRST_FRAMES = 4
_CALL_SID = re.compile(r"[\w-]{1,64}")
# Why a stream's token is not taken; the grants' own words are for web pages.
_REFUSALS = {
    "expired_api_key": "its token has expired",
    "spent_api_key": "its token has been used",
}
# XML 1.0 §2.2 has no place for these, not even escaped.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Answering(Protocol):
    """What talks to a caller: a RealtimeSession, or a transport alone."""

    async def connect(self, *, api_key: ApiKey | None = None) -> None:
        """Begin."""

    async def close(self) -> None:
        """Hang up, and end what runs."""


@dataclass(frozen=True)
class PhoneCall:
    """A call that has come in.

    Attributes:
        websocket: For `TwilioRealtimeTransportLayer`.
        call_sid: Twilio's name of it.
        parameters: `From` and `To`, as Twilio told them, and what you gave along.
    """

    websocket: AsgiWebSocket
    call_sid: str
    parameters: Mapping[str, str] = field(repr=False)


Answer = Callable[[PhoneCall], Answering | Awaitable[Answering]]
Form = Mapping[str, str]


def twilio_routes(
    answer: Answer,
    *,
    auth_token: str | None = None,
    api_key: ApiKey | None = None,
    parameters: Callable[[Form], Form] | None = None,
    public_url: str | None = None,
    relay: Starlette | None = None,
) -> list[BaseRoute]:
    """Make the routes of a telephone agent, for any Starlette or FastAPI application.

    Let the number's webhook be `POST /twilio/voice` of this application. Who calls then
    talks to what `answer` gives, until either side hangs up; it is closed at the end.

    Args:
        answer: Gives a session for a call, connected to nothing yet; may be a coroutine
            function.
        auth_token: Of your Twilio account: only what it has signed is let in. Without
            one the routes answer nobody but this machine.
        api_key: The model's, if the session has none.
        parameters: Gives, for the form of the webhook, what else the call is to know.
        public_url: Where the application is for Twilio, for example
            `https://voice.example.com`, with the path that a proxy takes off; needed
            only if the proxy does not pass the `Host` on.
        relay: What `create_app` gave: its pages, metrics and observers have these calls
            then, too, as those of an agent `phone`.

    Raises:
        SettingsError: The auth token is empty, or the URL is none.
    """
    if auth_token is not None and not auth_token.strip():
        raise SettingsError(
            "auth_token is empty: take it from the Twilio console, or leave it out to "
            "take calls from this machine only.",
            code="invalid_settings",
        )
    if public_url is not None and urlsplit(public_url).scheme not in ("https", "http"):
        raise SettingsError(
            "public_url has to begin with https://", code="invalid_settings"
        )
    if auth_token is None:
        _log.warning("without auth_token, telephone calls come from this machine only")
    line = _Line(
        answer, auth_token, api_key, parameters or (lambda _: {}), public_url, relay
    )
    return [
        Route(_VOICE, line.voice, methods=["POST"]),
        WebSocketRoute(_MEDIA, line.media),
    ]


class CallSocket:
    """A WebSocket whose first texts were read already, and come again.

    Attributes:
        ended: Set when either side has closed it.
    """

    def __init__(self, websocket: WebSocket, texts: list[str]) -> None:
        self.ended = asyncio.Event()
        self._websocket = websocket
        self._texts = deque(texts)

    async def receive_text(self) -> str:
        """See Starlette's WebSocket."""
        if self._texts:
            return self._texts.popleft()
        try:
            return await self._websocket.receive_text()
        except (WebSocketDisconnect, RuntimeError):
            self.ended.set()
            raise

    async def send_text(self, data: str) -> None:
        """See Starlette's WebSocket."""
        await self._websocket.send_text(data)

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """See Starlette's WebSocket; once, and whatever the other side has done."""
        if not self.ended.is_set():
            self.ended.set()
            await self._websocket.close(code, reason)


class _Line:
    """What the two routes share."""

    def __init__(
        self,
        answer: Answer,
        auth_token: str | None,
        api_key: ApiKey | None,
        parameters: Callable[[Form], Form],
        public_url: str | None,
        relay: Starlette | None,
    ) -> None:
        self._answer = answer
        self._auth_token = auth_token
        self._api_key = api_key
        self._parameters = parameters
        self._public_url = public_url
        self._relay: Relay | None = relay.state.relay if relay else None
        # All processes that share the auth token know each other's tokens.
        secret = None if auth_token is None else f"twilio stream {auth_token}"
        self._grants = Grants(secret)

    async def voice(self, request: Request) -> Response:
        """`POST /twilio/voice`: tell Twilio to open a stream to the other route."""
        try:
            fields = await read_form(request, _BODY_SECONDS)
            url = self._admitted(request, fields)
            form = dict(fields)
            call_sid = form.get("CallSid", "")
            if not _CALL_SID.fullmatch(call_sid):
                raise InvalidRequest(
                    "The form has no CallSid.",
                    code="missing_parameter",
                    param="CallSid",
                )
            token, _ = self._grants.issue(call_sid, None, _TOKEN_SECONDS, time.time())
            told = {name: form[name] for name in _TOLD if name in form}
            told |= {**self._parameters(form), _TOKEN: token}
            twiml = _twiml(_media_url(url), told)
        except OffhookError as error:
            return on_offhook_error(request, error)
        return Response(twiml, 200, {"Cache-Control": "no-store"}, "text/xml")

    async def media(self, websocket: WebSocket) -> None:
        """`WS /twilio/media`: a call, from its beginning to its end."""
        try:
            self._admitted(websocket, ())
        except OffhookError as error:
            await refuse_socket(websocket, error)
            return
        await websocket.accept()
        wire = AcceptedWire(websocket)
        try:
            async with asyncio.timeout(_START_SECONDS):
                started, texts = await _begun(wire)
            call, socket = self._taken(websocket, started, texts)
            leave = self._relay.limits.take(None) if self._relay else _nothing
        except (OffhookError, TimeoutError) as error:
            _log.info("refused a stream: %s", _why(error))
            await wire.close(1008, "This stream is not expected.")
        else:
            try:
                await self._serve(call, socket)
            finally:
                leave()

    def _admitted(
        self, connection: HTTPConnection, fields: Sequence[tuple[str, str]]
    ) -> str:
        """Check who asks, and return the URL that was asked for."""
        if self._auth_token is not None:
            return signed_url(connection, self._auth_token, fields, self._public_url)
        if not is_local(connection):
            raise Forbidden(
                "Without auth_token, telephone calls come from this machine only: give "
                "twilio_routes the auth token of your Twilio account.",
                code="missing_auth_token",
            )
        return str(connection.url)

    def _taken(
        self, websocket: WebSocket, started: Started, texts: list[str]
    ) -> tuple[PhoneCall, CallSocket]:
        """Check that a stream is that of a call which came to us, once."""
        now = time.time()
        grant = self._grants.verify(started.parameters.get(_TOKEN, ""), None, now)
        if grant.agent != started.call_sid:
            raise Forbidden("its token is another call's", code="invalid_stream")
        self._grants.spend(grant, now)
        frame = parse(texts[-1])
        parameters = frame["start"]["customParameters"]
        del parameters[_TOKEN]
        socket = CallSocket(websocket, [*texts[:-1], serialise(frame)])
        return PhoneCall(socket, started.call_sid, parameters), socket

    async def _serve(self, call: PhoneCall, socket: CallSocket) -> None:
        began = time.monotonic()
        session: Answering | None = None
        live = await self._known(call, socket)
        _log.info("telephone call %s begins", call.call_sid)
        try:
            made = self._answer(call)
            session = await made if inspect.isawaitable(made) else made
            if live:
                # A session has one, a transport is one.
                transport: Any = getattr(session, "transport", session)
                transport.on("*", live.take)
            await session.connect(api_key=self._api_key)
            await socket.ended.wait()
        except Exception as error:
            if not socket.ended.is_set():
                if live:
                    live.because("failed")
                known = isinstance(error, OffhookError)
                _log.error(
                    "telephone call %s failed: %s",
                    call.call_sid,
                    error if known else type(error).__name__,
                    exc_info=None if known else error,
                )
        finally:
            try:
                if session:
                    await session.close()
                await socket.close()
            finally:
                if live and self._relay:
                    self._relay.calls.end(live, "caller")
            seconds = time.monotonic() - began
            _log.info("telephone call %s has ended: %.0f s", call.call_sid, seconds)

    async def _known(self, call: PhoneCall, socket: CallSocket) -> LiveCall | None:
        """Let the relay know of a call, if there is one."""
        if self._relay is None:
            return None
        # What keeps the calls may not run yet.
        await self._relay.runtime.recordings()
        record = CallRecord(call.call_sid, "phone", "phone", time.time())
        live = self._relay.calls.begin(record, "", socket.close)
        live.connected()
        return live


def _nothing() -> None:
    """Give back no place: without a relay there are none."""


async def _begun(wire: Wire) -> tuple[Started, list[str]]:
    """Read up to the start of a stream."""
    stream, texts = MediaStream(), list[str]()
    while len(texts) < _FIRST_FRAMES:
        texts.append(await wire.receive())
        for effect in stream.take(texts[-1], 0.0):
            if isinstance(effect, Started):
                return effect, texts
    raise Forbidden("it does not begin as a stream does", code="invalid_stream")


def _why(error: Exception) -> str:
    """Say of a stream why it was refused."""
    match error:
        case TimeoutError():
            return "it did not start in time"
        case WireClosed():
            return f"it was closed ({error.close_code}) before it began"
        case Unauthorized():
            return _REFUSALS.get(str(error.code), "its token is none of ours")
    return str(error)


def _media_url(voice_url: str) -> str:
    """Return the address of the stream beside that of the webhook."""
    parts = urlsplit(voice_url)
    scheme = {"https": "wss", "http": "ws"}[parts.scheme]
    path = parts.path.rstrip("/").removesuffix(_VOICE) + _MEDIA
    return f"{scheme}://{parts.netloc}{path}"


def _twiml(url: str, parameters: Mapping[str, str]) -> bytes:
    response = ElementTree.Element("Response")
    connect = ElementTree.SubElement(response, "Connect")
    stream = ElementTree.SubElement(connect, "Stream", url=url)
    for name, value in parameters.items():
        told = {"name": _NO_XML.sub("", name), "value": _NO_XML.sub("", value)}
        ElementTree.SubElement(stream, "Parameter", told)
    xml: bytes = ElementTree.tostring(response, "utf-8", xml_declaration=True)
    return xml
