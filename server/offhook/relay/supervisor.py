"""Supervision of direct calls: over a sideband, beside the audio that goes its own way.

The upstream's answer does not wait for it: a call begins when the caller has the
answer. Closing a sideband does not end a call, and a closed one does not mean that it
has ended: only an upstream that knows the call no more says so.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Literal

from offhook.errors import InvalidRequest, NotFound, OffhookError, WireClosed
from offhook.events import Event, parse, serialise
from offhook.http.race import after, first
from offhook.protocol.guard import Act, Expel, Guard, Restore, Surrender

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offhook.relay.calls import Calls, LiveCall
    from offhook.upstream.base import Upstream
    from offhook.wire.base import Wire

_log = logging.getLogger(__name__)

# Between the tries to attach. Azure: the first may fail right after the answer.
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
# Between sidebands that do not last.
_LONGEST_PAUSE = 10.0
# Between the tries to hang up: a call that goes on costs money.
_HANG_UP_PAUSES = (0.5, 2.0, 8.0)
# How long a sideband may take to close, once the call is hung up.
_FAREWELL_SECONDS = 2.0

Mode = Literal["auto", "required", "off"]


class Supervisors:
    """Supervises the direct calls of a relay.

    Args:
        calls: The live calls.
        mode: Whether that is tried, has to be possible, or is left.
        seconds: How long a call may last.
    """

    def __init__(self, calls: Calls, mode: Mode, seconds: float) -> None:
        self._calls = calls
        self._mode = mode
        self._seconds = seconds
        # Whether this upstream has had a sideband: then a call that it does not know
        # is one that has ended.
        self._known = False

    async def supervise(
        self,
        call: LiveCall,
        upstream: Upstream,
        session: Mapping[str, Any],
        *,
        guarded: bool,
    ) -> None:
        """Stay with a call until it has ended.

        Args:
            call: It.
            upstream: Who answers it.
            session: As the server set it.
            guarded: Whether it stands; otherwise the caller may change it.
        """
        try:
            end = await first(
                hung_up=self._hung_up(call),
                over=self._watch(call, upstream, Guard(session) if guarded else None),
                late=after(self._seconds),
            )
            if end == "late":
                await _hang_up(call, "limit")
                call.because("limit")
            call.because("caller")
        finally:
            self._calls.end(call, "server")

    async def _hung_up(self, call: LiveCall) -> None:
        """Return when it was hung up, and what came of it has been heard."""
        await call.hung_up.wait()
        await asyncio.sleep(_FAREWELL_SECONDS if self._known else 0)

    async def _watch(
        self, call: LiveCall, upstream: Upstream, guard: Guard | None
    ) -> None:
        """Return when the call has ended; never, where that cannot be seen."""
        clock = asyncio.get_running_loop().time
        attached, away, pause = False, False, 0.0
        while self._mode != "off":
            await asyncio.sleep(pause)
            began = clock()
            try:
                async with AsyncExitStack() as stack:
                    wire = await self._attach(call, upstream, stack, again=attached)
                    self._known, attached, away = True, True, False
                    await self._follow(call, wire, guard)
                # Who only opens and closes is not to be asked all the time.
                brief = clock() - began < _LONGEST_PAUSE
                pause = min(2 * pause + 0.1, _LONGEST_PAUSE) if brief else 0.0
            except NotFound:
                if self._known:
                    return
                await self._unsupervised(call, "there is no sideband")
                break
            except OffhookError as error:
                if not away:
                    await self._unsupervised(call, str(error))
                if not self._known or self._mode == "required":
                    break
                # It had sidebands before: whatever is wrong may pass.
                away, pause = True, _LONGEST_PAUSE
        await after(None)

    async def _attach(
        self, call: LiveCall, upstream: Upstream, stack: AsyncExitStack, *, again: bool
    ) -> Wire:
        """Attach a sideband.

        Raises:
            NotFound: There is no such call; or, at first, no sideband to it.
            UpstreamError: It cannot be attached.
        """
        for pause in _PAUSES:
            try:
                return await stack.enter_async_context(upstream.attach(call.record.id))
            except OffhookError as error:
                if again and isinstance(error, NotFound):
                    raise
            await asyncio.sleep(pause)
        return await stack.enter_async_context(upstream.attach(call.record.id))

    async def _follow(self, call: LiveCall, wire: Wire, guard: Guard | None) -> None:
        """Take what the sideband tells, until it closes."""
        clock = asyncio.get_running_loop().time
        try:
            await wire.send(serialise(guard.ask(clock()) if guard else _QUESTION))
            while True:
                act: Act | None = None
                try:
                    async with asyncio.timeout_at(guard.deadline if guard else None):
                        event = _read(await wire.receive())
                except TimeoutError:
                    act = guard.late() if guard else None
                else:
                    call.take(event)
                    act = guard.take(event, clock()) if guard else None
                if act:
                    await self._act(call, wire, act)
        except WireClosed as closed:
            _log.debug("the sideband of %s was closed: %s", call.record.id, closed)

    async def _act(self, call: LiveCall, wire: Wire, act: Act) -> None:
        what = ", ".join(act.what) or "the session"
        match act:
            case Restore(events):
                _log.info("call %s: the caller changed %s", call.record.id, what)
                call.mark("guard.restored", what=list(act.what))
                for event in events:
                    await wire.send(serialise(event))
            case Expel():
                _log.warning(
                    "call %s is hung up: the caller changed %s", call.record.id, what
                )
                call.mark("guard.expelled", what=list(act.what))
                await _hang_up(call, "guard")
            case Surrender():
                call.mark("guard.surrendered", what=list(act.what))
                await self._unsupervised(call, f"the upstream shows {what} otherwise")

    async def _unsupervised(self, call: LiveCall, why: str) -> None:
        if self._mode == "required":
            _log.warning("call %s is hung up: %s", call.record.id, why)
            await _hang_up(call, "unsupervised")
        else:
            _log.warning("call %s goes on unguarded: %s", call.record.id, why)


# To a sideband nothing is sent unprompted: this changes nothing, and shows the session.
_QUESTION: Event = {"type": "session.update", "session": {"type": "realtime"}}


def _read(text: str) -> Event:
    try:
        return parse(text)
    except InvalidRequest:
        return {}  # whatever it is, it is nothing that we know


async def _hang_up(call: LiveCall, reason: str) -> None:
    for pause in (*_HANG_UP_PAUSES, None):
        try:
            await call.hang_up(reason)
            return
        except OffhookError as error:
            _log.warning("call %s cannot be hung up: %s", call.record.id, error)
        if pause:
            await asyncio.sleep(pause)
