"""`WS /v1/realtime`: a session whose audio travels in events, or a sideband."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from offhook.errors import InvalidRequest, OffhookError
from offhook.events import Event, serialise
from offhook.http.handshake import (
    accept,
    is_beta,
    offered_key,
    refuse_beta,
    refuse_socket,
)
from offhook.http.race import after, first, until
from offhook.local.calls import Call
from offhook.local.connection import Connection
from offhook.local.faults import CALL, SIDEBAND, Fault
from offhook.local.keys import bearer
from offhook.protocol.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from offhook.local.app import LocalEndpoint
    from offhook.protocol.session_config import Session
    from offhook.speech.engines import Engines

_log = logging.getLogger(__name__)

# What may wait for a client that does not read, before it is hung up on: 25 minutes
# of speech, which goes out as fast as it is made.
_UNREAD_BYTES = 96 * 2**20
# How long such a client has to take note of being hung up on.
_FAREWELL_SECONDS = 1.0


async def serve_socket(websocket: WebSocket, local: LocalEndpoint) -> None:
    """Serve one WebSocket until either side closes it.

    With `?call_id=` it is a sideband: a second way to control a call that has its
    audio elsewhere.
    """
    try:
        session, fault = await _admit(websocket, local)
        engines = await local.models.loaded()
    except OffhookError as error:
        await refuse_socket(websocket, error)
        return
    await accept(websocket)
    if is_beta(websocket):
        await refuse_beta(websocket)
        return
    outgoing = _Outgoing()
    try:
        if isinstance(session, Call):
            end = await _accompany(websocket, session, outgoing, fault)
        else:
            end = await _converse(websocket, session, engines, outgoing, fault)
    except Exception:
        _log.exception("a session failed")
        await _close(websocket, 1011, "The session failed.")
    else:
        await _part(websocket, end)


async def _converse(
    websocket: WebSocket,
    session: Session,
    engines: Engines,
    outgoing: _Outgoing,
    fault: Fault,
) -> str:
    send = fault.sieve(outgoing.put)
    connection = Connection(Endpoint(session, playout=False), engines, send)
    async with connection:
        connection.open()
        end = await first(
            left=_read(websocket, connection.receive, connection.room),
            expired=until(session["expires_at"]),
            **_ends(websocket, outgoing, fault),
        )
        reason = connection.expire() if end == "expired" else None
    if reason:
        await _close(websocket, 1001, reason, last=outgoing)
    return end


async def _accompany(
    websocket: WebSocket, call: Call, outgoing: _Outgoing, fault: Fault
) -> str:
    send = fault.sieve(outgoing.put)
    # OpenAI: nothing is sent unprompted here, not even session.created.
    with call.attached(send):
        end = await first(
            left=_read(websocket, lambda text: call.message(text, send), call.room),
            ended=call.ended.wait(),
            **_ends(websocket, outgoing, fault),
        )
    if end == "ended":
        await _close(websocket, *call.farewell, last=outgoing)
    return end


def _ends(
    websocket: WebSocket, outgoing: _Outgoing, fault: Fault
) -> dict[str, Coroutine[Any, Any, object]]:
    """Name what may end a session and a sideband alike."""
    return {
        "gone": _write(websocket, outgoing),
        "overrun": outgoing.overrun.wait(),
        "halved": after(fault.half_close),
        "dropped": after(fault.drop),
    }


async def _part(websocket: WebSocket, end: str) -> None:
    # A connection left without a close is cut by the server: a fault may want it.
    if end == "halved":
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass
    elif end == "overrun":
        _log.warning("a client left %d bytes unread: closing", _UNREAD_BYTES)
        await _close(websocket, 1008, "Too many unread events.")


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

    @property
    def waiting(self) -> bool:
        """Whether there is a next one already."""
        return not self._texts.empty()


async def _close(
    websocket: WebSocket, code: int, reason: str, last: _Outgoing | None = None
) -> None:
    # To a client that does not read, not even this can be sent.
    with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
        async with asyncio.timeout(_FAREWELL_SECONDS):
            while last and last.waiting:
                await websocket.send_text(await last.get())
            await websocket.close(code, reason)


async def _admit(
    websocket: WebSocket, local: LocalEndpoint
) -> tuple[Session | Call, Fault]:
    key = offered_key(websocket) or bearer(websocket.headers)
    minted = local.keys.check(key, time.time())
    query = websocket.query_params
    able = SIDEBAND if "call_id" in query else CALL
    fault = await local.faults.strike(websocket.headers, able)
    ways = [name for name in ("model", "call_id", "intent") if name in query]
    if len(ways) > 1:
        raise InvalidRequest(
            "Mutually exclusive parameters: give only one of "
            f"{' and '.join(repr(name) for name in ways)}.",
            code="mutually_exclusive_parameters",
            param=ways[1],
        )
    if "call_id" in query:
        # OpenAI: a client secret sees no call at all, its own included.
        return local.calls.find("" if minted else query["call_id"]), fault
    wanted: Session = {"type": "realtime", "model": query.get("model")}
    if query.get("intent") == "transcription":
        wanted = {"type": "transcription"}
    elif not wanted["model"] and minted is None:
        raise InvalidRequest(
            "You must provide a model parameter.", code="missing_model", param="model"
        )
    return local.session(minted, wanted, fault), fault


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
