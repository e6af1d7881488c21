"""`WS /v1/realtime`: a session whose audio travels in events, or a sideband."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from offhook.errors import InvalidRequest, OffhookError
from offhook.events import Event, new_id, serialise
from offhook.local.calls import Call, Calls
from offhook.local.connection import Connection
from offhook.local.keys import Keys, bearer
from offhook.protocol.endpoint import Endpoint
from offhook.protocol.session_config import Session, effective, transcription

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from offhook.local.models import Models
    from offhook.speech.engines import Engines

_log = logging.getLogger(__name__)

_KEY_PROTOCOL = "openai-insecure-api-key."
_BETA_PROTOCOL = "openai-beta.realtime-v1"
# What may wait for a client that does not read, before it is hung up on: 25 minutes
# of speech, which goes out as fast as it is made.
_UNREAD_BYTES = 96 * 2**20
# How long such a client has to take note of being hung up on.
_FAREWELL_SECONDS = 1.0


async def serve_socket(
    websocket: WebSocket, keys: Keys, models: Models, calls: Calls, seconds: int
) -> None:
    """Serve one WebSocket until either side closes it.

    With `?call_id=` it is a sideband: a second way to control a call that has its
    audio elsewhere.
    """
    offered = websocket.scope.get("subprotocols", [])
    try:
        session = _admit(websocket, offered, keys, calls, seconds)
        engines = await models.loaded()
    except OffhookError as error:
        # Refused before the upgrade, so that clients see the status.
        denial = JSONResponse(error.body(), status_code=error.status)
        await websocket.send_denial_response(denial)
        return
    # Select `realtime` if it was offered and nothing otherwise: browsers abort on the
    # one mistake, Python's websockets on the other.
    await websocket.accept("realtime" if "realtime" in offered else None)
    if _is_beta(websocket, offered):
        await _refuse_beta(websocket)
        return
    outgoing = _Outgoing()
    try:
        if isinstance(session, Call):
            await _accompany(websocket, session, outgoing)
        else:
            await _converse(websocket, session, engines, outgoing)
    except Exception:
        _log.exception("a session failed")
        await _close(websocket, 1011, "The session failed.")
    if outgoing.overrun.is_set():
        _log.warning("a client left %d bytes unread: closing", _UNREAD_BYTES)
        await _close(websocket, 1008, "Too many unread events.")


async def _converse(
    websocket: WebSocket, session: Session, engines: Engines, outgoing: _Outgoing
) -> None:
    connection = Connection(Endpoint(session, playout=False), engines, outgoing.put)
    async with connection:
        connection.open()
        await _until_first(
            _read(websocket, connection.receive, connection.room),
            _write(websocket, outgoing),
            outgoing.overrun.wait(),
        )


async def _accompany(websocket: WebSocket, call: Call, outgoing: _Outgoing) -> None:
    # OpenAI: nothing is sent unprompted here, not even session.created.
    with call.attached(outgoing.put):
        await _until_first(
            _read(websocket, lambda text: call.message(text, outgoing.put), call.room),
            _write(websocket, outgoing),
            outgoing.overrun.wait(),
            call.ended.wait(),
        )
    if call.ended.is_set():
        await _close(websocket, 1000, "The call has ended.")


class _Outgoing:
    """Events on their way to a client.

    Attributes:
        overrun: Set when the client leaves too much unread; the rest is dropped.
    """

    def __init__(self) -> None:
        self.overrun = asyncio.Event()
        self._texts: asyncio.Queue[str] = asyncio.Queue()  # bounded by _bytes
        self._bytes = 0

    def put(self, event: Event) -> None:
        """Queue an event as it is now."""
        if self._bytes > _UNREAD_BYTES:
            self.overrun.set()
            return
        text = serialise(event)
        self._bytes += len(text)
        self._texts.put_nowait(text)

    async def get(self) -> str:
        """Wait for the next one."""
        text = await self._texts.get()
        self._bytes -= len(text)
        return text


async def _until_first(*parts: Coroutine[Any, Any, object]) -> None:
    """Run these until one ends, and cancel the others; raise what one raised."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    # To a client that does not read, not even this can be sent.
    with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
        async with asyncio.timeout(_FAREWELL_SECONDS):
            await websocket.close(code, reason)


def _admit(
    websocket: WebSocket, offered: list[str], keys: Keys, calls: Calls, seconds: int
) -> Session | Call:
    named = [p for p in offered if p.startswith(_KEY_PROTOCOL)]
    key = named[0].removeprefix(_KEY_PROTOCOL) if named else bearer(websocket.headers)
    now = time.time()
    minted = keys.check(key, now)
    query = websocket.query_params
    if "call_id" in query:
        # OpenAI: a client secret sees no call at all, its own included.
        return calls.find("" if minted is not None else query["call_id"])
    expires_at = int(now) + seconds
    if minted is not None:
        return {**minted, "id": new_id("sess"), "expires_at": expires_at}
    if query.get("intent") == "transcription":
        return transcription(new_id("sess"), expires_at=expires_at)
    model = query.get("model")
    if not model:
        raise InvalidRequest(
            "You must provide a model parameter.", code="missing_model", param="model"
        )
    return effective(new_id("sess"), expires_at=expires_at, model=model)


def _is_beta(websocket: WebSocket, offered: list[str]) -> bool:
    return "openai-beta" in websocket.headers or _BETA_PROTOCOL in offered


async def _refuse_beta(websocket: WebSocket) -> None:
    error = {
        "type": "invalid_request_error",
        "code": "beta_api_shape_disabled",
        "message": "The Realtime Beta API is no longer supported. Please use "
        "/v1/realtime for the GA API.",
        "param": None,
        "event_id": None,
    }
    event = {"type": "error", "event_id": new_id("event"), "error": error}
    await websocket.send_text(serialise(event))
    await websocket.close(4000, "beta_api_shape_disabled")


async def _read(
    websocket: WebSocket,
    receive: Callable[[str | bytes], None],
    room: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            receive(text if text is not None else message["bytes"])
            await room()
    except WebSocketDisconnect:
        return


async def _write(websocket: WebSocket, outgoing: _Outgoing) -> None:
    try:
        while True:
            await websocket.send_text(await outgoing.get())
    except (WebSocketDisconnect, RuntimeError):
        return  # the client has gone
