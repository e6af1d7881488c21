"""`WS /v1/realtime`: a caller's WebSocket, and the upstream's, through the policy."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from offhook.errors import InvalidRequest, NotFound, OffhookError, WireClosed
from offhook.events import new_id, serialise
from offhook.http.handshake import (
    accept,
    is_beta,
    offered_key,
    refuse_beta,
    refuse_socket,
)
from offhook.http.race import first
from offhook.protocol.overhearing import Ear
from offhook.relay.callers import address_of, bearer
from offhook.relay.pace import Pace
from offhook.relay.routes import may_configure, policy_for, record_of
from offhook.wire.base import close_frame
from offhook.wire.frames import EXTENSION, Direct

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from starlette.types import Receive, Scope, Send

    from offhook.protocol.policy import Policy
    from offhook.relay.calls import LiveCall
    from offhook.relay.grants import Grant
    from offhook.relay.routes import Relay
    from offhook.settings import Settings
    from offhook.wire.base import Wire
    from offhook.wire.frames import DirectCaller

_log = logging.getLogger(__name__)

# How long a caller has to take note of being hung up on.
_FAREWELL_SECONDS = 1.0
# How often to look whether a caller is still there: from one that is held back nothing
# is read, not even its end.
_LOOK_SECONDS = 1.0

Frame = tuple[int, str]

_TOO_LONG = (1009, "The event is too long.")
_TOO_MANY = (1008, "Too many events.")
_UNREAD = (1008, "Too many unread events.")
_ENDED = (1001, "The server ended the session.")
_BROKEN = (1011, "The upstream broke off.")
_FAILED = (1011, "The session failed.")
_GONE = (1001, "The caller has gone.")
_BYE = (1000, "")
# So uvicorn closes every WebSocket when it ends (RFC 6455's registry: service restart).
_RESTARTS = 1012


class RealtimeSocket:
    """Serves one WebSocket until either side closes it.

    A plain ASGI application: Starlette's methods would cost time with each event.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open the upstream, and only then accept: so refusals have their status."""
        websocket = WebSocket(scope, receive, send)
        relay: Relay = scope["app"].state.relay
        fixed = not may_configure(websocket, relay)
        async with contextlib.AsyncExitStack() as stack:
            try:
                grant = _admitted(websocket, relay)
                if is_beta(websocket):
                    await accept(websocket)
                    await refuse_beta(websocket)
                    return
                stack.callback(relay.limits.take(address_of(websocket)))
                upstream = await relay.runtime.upstream()
                # From here on the grant is gone, whatever happens.
                session = _spent(grant, relay)
                opened = await stack.enter_async_context(upstream.connect(session))
            except OffhookError as error:
                await refuse_socket(websocket, error)
                return
            try:
                await accept(websocket)
            except WebSocketDisconnect:
                return  # it did not wait
            policy = policy_for(session, fixed=fixed)
            agent = relay.agents.find(grant.agent)
            record = record_of(new_id("rtc"), "websocket", grant, agent, session)
            call = relay.calls.begin(record, grant.id, _let_go)
            call.take({"type": "session.created", "session": opened.session})
            call.connected()
            exchange = _Exchange(
                receive, send, opened.wire, policy, relay.settings, call
            )
            exchange.shorten(scope.get("extensions", {}).get(EXTENSION))
            try:
                await exchange.run(policy.opened(opened.session))
            finally:
                relay.calls.end(call, exchange.reason)


def _admitted(websocket: WebSocket, relay: Relay) -> Grant:
    """Check who wants to come in, and for what.

    Raises:
        CallerError: They may not, or not for that.
    """
    key = offered_key(websocket) or bearer(websocket)
    origin = websocket.headers.get("origin")
    grant = relay.grants.verify(key, origin, time.time())
    # OpenAI: a client secret sees no call at all, its own included.
    if "call_id" in websocket.query_params:
        raise NotFound(
            "No session found for the provided call_id", code="call_id_not_found"
        )
    if "intent" in websocket.query_params:
        raise InvalidRequest(
            "There are no transcription sessions here: leave 'intent' out.",
            code="invalid_value",
            param="intent",
        )
    return grant


def _spent(grant: Grant, relay: Relay) -> Mapping[str, Any]:
    """Use the grant up, and find the session that it opens."""
    agent = relay.agents.find(grant.agent)
    if agent.brain or relay.leg:
        raise InvalidRequest(
            "This agent is called over WebRTC: POST the offer to /v1/realtime/calls.",
            code="unsupported_transport",
        )
    if agent.record in ("required", "always"):
        raise InvalidRequest(
            "Calls to this agent are recorded, which those over a WebSocket are not: "
            "POST the offer of a WebRTC call to /v1/realtime/calls.",
            code="unsupported_transport",
        )
    minted = relay.grants.spend(grant, time.time())
    _log.info("a session: agent %s, origin %r", grant.agent, grant.origin)
    return minted or agent.session


class _Exchange:
    """One session: what comes from either side goes to the other.

    Nothing is kept here. Who does not read holds the other one back, and so does who
    sends too much: neither is read from until there is room.

    Attributes:
        reason: Why it has ended.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        wire: Wire,
        policy: Policy,
        settings: Settings,
        call: LiveCall,
    ) -> None:
        self.reason = "server"
        self._receive = receive
        self._send = send
        self._wire = wire
        self._policy = policy
        self._longest = settings.event_bytes
        self._pace = Pace(settings.event_rate)
        self._patience = settings.patience_seconds
        self._seconds = settings.session_seconds
        # What the caller left with; or why it is hung up on, after a last event.
        self._left: Frame | None = None
        self._why: Frame | None = None
        self._last: str | None = None
        # Events on their way to the caller, and how many have gone.
        self._going = 0
        self._gone = 0
        self._caller: DirectCaller | None = None
        self._call = call
        self._ear = Ear()

    def shorten(self, caller: DirectCaller | None) -> None:
        """Let what can pass at once take the short way, where both sides have one."""
        self._caller, wire = caller, self._wire
        if caller is None or not isinstance(wire, Direct):
            return
        judge_up, judge_down = self._policy.from_caller, self._policy.from_upstream
        send_up, send_down = wire.offer, caller.offer
        pace, clock = self._pace, asyncio.get_running_loop().time

        def up(text: str) -> bool:
            if pace.late or len(text) > self._longest:
                return False
            onward, back = judge_up(text)
            if onward is None or back is not None or not send_up(onward):
                return False
            pace.take(clock())
            return True

        def down(text: str) -> bool:
            onward, _ = judge_down(text)
            passes = onward is None or send_down(onward)
            if passes:
                self._note(text)
            return passes

        caller.divert(up)
        wire.divert(down)

    async def run(self, greeting: str) -> None:
        """Carry events until either side has left, or has to."""
        try:
            await self._say(greeting)
            end = await first(
                caller=self._from_caller(),
                upstream=self._from_upstream(),
                watch=self._watch(),
                look=self._look(),
                hung_up=self._call.hung_up.wait(),
            )
            self.reason = self._reason(end)
        except Exception:
            _log.exception("a session failed")
            self._why, self.reason = _FAILED, "failed"
        finally:
            for event in self._ear.end():
                self._call.take(event)
            await self._part()

    async def _from_caller(self) -> None:
        receive, judge, send = self._receive, self._policy.from_caller, self._wire.send
        pace, clock = self._pace, asyncio.get_running_loop().time
        while True:
            message = await receive()
            frame: str | bytes | None = message.get("text")
            if frame is None:
                frame = message.get("bytes")
            if frame is None:
                self._left = _farewell(message)
                return
            if len(frame) > self._longest:
                self._why = _TOO_LONG
                return
            onward, back = judge(frame)
            if onward is not None:
                try:
                    await send(onward)
                except WireClosed:
                    return
            if back is not None:
                await self._say(back)
            if wait := pace.take(clock()):
                if pace.held > self._patience:
                    self._why = _TOO_MANY
                    return
                await asyncio.sleep(wait)
                pace.late = False

    async def _from_upstream(self) -> None:
        receive, judge = self._wire.receive, self._policy.from_upstream
        while self._left is None:
            try:
                text = await receive()
            except WireClosed:
                return
            self._note(text)
            onward, _ = judge(text)
            if onward is not None:
                await self._say(onward)

    def _reason(self, end: str) -> str:
        if self._last is not None:
            return "limit"
        if self._why is not None:
            return "refused"
        if self._left and self._left[0] == _RESTARTS:
            return "server"
        return "caller" if self._left is not None or end == "hung_up" else "lost"

    def _note(self, text: str) -> None:
        for event in self._ear.hear(text):
            self._call.take(event)

    async def _say(self, text: str) -> None:
        self._going += 1
        try:
            await self._send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError):
            # So servers say that nobody is there any more.
            self._left = self._left or _GONE
        self._going -= 1
        self._gone += 1

    async def _look(self) -> None:
        """Return when the caller has gone, whatever of it has not been read."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._caller is not None and self._caller.has_left():
                self._left = self._left or _GONE
                return

    async def _watch(self) -> None:
        """Return when the session's time is over, or a caller has not read for long."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._seconds
        while (left := end - clock()) > 0:
            before = self._gone if self._going else None
            await asyncio.sleep(min(left, self._patience))
            if self._going and self._gone == before:
                self._why = _UNREAD
                return
        reason = f"Your session hit the maximum duration of {_span(self._seconds)}."
        self._why, self._last = (1001, reason), _expired(reason)

    async def _part(self) -> None:
        """Close what is still open, each side with what the other one said."""
        closed = self._wire.closed
        if self._left is None:
            code, reason = self._why or (self._carried(closed) if closed else _ENDED)
            # To a caller that does not read, not even this can be sent.
            with contextlib.suppress(TimeoutError, OSError, RuntimeError):
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    if self._last is not None:
                        await self._say(self._last)
                    await self._send(
                        {"type": "websocket.close", "code": code, "reason": reason}
                    )
            _log.info("a session was closed: %d %s", code, reason)
        else:
            _log.info("a caller left: %d %r", *self._left)
        if closed is None:
            await self._wire.close(*(self._left or _BYE))

    def _carried(self, closed: WireClosed) -> Frame:
        """Say to the caller how the upstream left."""
        reason = self._policy.farewell(closed.reason)
        if closed.close_code == 1005:
            return _BYE
        try:
            return close_frame(closed.close_code, reason)
        except ValueError:
            return _BROKEN


async def _let_go() -> None:
    """Hang up: that it was is what the exchange waits for."""


def _farewell(message: MutableMapping[str, Any]) -> Frame:
    """Say to the upstream how the caller left."""
    code, reason = message.get("code", 1005), message.get("reason")
    if code == 1005:
        # A close without a code; uvicorn gives this for a broken connection, too.
        return _BYE if reason is not None else _GONE
    try:
        return close_frame(code, reason or "")
    except ValueError:
        return _GONE


def _span(seconds: float) -> str:
    minutes = seconds / 60
    return (
        f"{minutes:g} minutes" if minutes in range(2, 1440) else f"{seconds:g} seconds"
    )


def _expired(reason: str) -> str:
    error = {
        "type": "invalid_request_error",
        "code": "session_expired",
        "message": reason,
        "param": None,
        "event_id": None,
    }
    return serialise({"type": "error", "event_id": new_id("event"), "error": error})
