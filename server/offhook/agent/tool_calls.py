"""The tools of a session: run beside each other, and no call without an answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from agents.realtime.model import RealtimeModel
from agents.realtime.model_events import RealtimeModelToolCallEvent
from agents.realtime.model_inputs import (
    RealtimeModelSendSessionUpdate,
    RealtimeModelSendToolOutput,
)

from offhook.errors import InvalidRequest, OffhookError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from agents.realtime.model import RealtimeModelConfig, RealtimeModelListener
    from agents.realtime.model_inputs import RealtimeModelSendEvent

    from offhook.agent.model import TransportModel
    from offhook.agent.tasks import Tasks
    from offhook.protocol.transport_events import (
        FunctionCall,
        Reconnecting,
        TurnDone,
        TurnStarted,
    )
    from offhook.transports.base import RealtimeTransportLayer
    from offhook.transports.emitter import Listener

    # Begun only where it can be awaited.
    Work = Callable[[], Coroutine[Any, Any, None]]

_FAILED = "An error occurred while running the tool. Please try again."


class ToolCalls(RealtimeModel):
    """The model as openai-agents' session sees it: one that only calls tools.

    That session must have `async_tool_calls` off: then a tool that fails does not end
    it, but is answered from here. It belongs to one connection.

    Args:
        model: Connects, and sends.
        transport: That of the model.
        tasks: Where the tools run.
        failed: Is told why a tool gave nothing.
    """

    def __init__(
        self,
        model: TransportModel,
        transport: RealtimeTransportLayer,
        tasks: Tasks,
        failed: Callable[[Exception], None],
    ) -> None:
        self._model = model
        self._transport = transport
        self._tasks = tasks
        self._failed = failed
        self._session: RealtimeModelListener
        self._closed = False
        self._handoffs: frozenset[str] = frozenset()
        self._ongoing: set[str] = set()
        # Handoffs that wait for the end of their response, and how many have begun; and
        # whether an answer to what tools gave meanwhile waits, which may be the next
        # agent's.
        self._held: list[FunctionCall] = []
        self._handing_over = 0
        self._owed = False
        # All calls of the connection, by their ids: some hundred at most.
        self._calls: dict[str, FunctionCall] = {}
        self._begun: dict[str, bool] = {}
        self._handlers: Mapping[str, Listener] = {
            "function_call": self._call,
            "turn_started": self._turn_started,
            "turn_done": self._turn_done,
            "reconnecting": self._turns_lost,
        }

    def add_listener(self, listener: RealtimeModelListener) -> None:
        """Tell the calls to this one."""
        self._session = listener

    def remove_listener(self, listener: RealtimeModelListener) -> None:
        """Do nothing: after `hang_up` there is nothing to tell."""

    async def connect(self, options: RealtimeModelConfig) -> None:
        """See TransportModel.

        Raises:
            InvalidRequest: It has been closed already.
        """
        if self._closed:
            raise InvalidRequest(
                "The session was closed before it had connected.",
                code="closed_while_connecting",
            )
        self._note(options.get("initial_model_settings", {}))
        for name, handler in self._handlers.items():
            self._transport.on(name, handler)
        await self._model.connect(options)

    async def send_event(self, event: RealtimeModelSendEvent) -> None:
        """See TransportModel; where the connection is coming back, it waits for it."""
        await self._connected()
        match event:
            case RealtimeModelSendSessionUpdate(settings):
                self._note(settings)
            case RealtimeModelSendToolOutput(start_response=True):
                self._owed = bool(self._ongoing) or self._handing_over > 0
                event = replace(event, start_response=not self._owed)
        await self._model.send_event(event)

    async def close(self) -> None:
        """Do nothing: the session would hang up in a task that waits for who asks."""

    async def hang_up(self) -> None:
        """Close the model; the tools are ended by who owns the tasks."""
        self._closed = True
        for name, handler in self._handlers.items():
            self._transport.off(name, handler)
        await self._model.close()

    async def settle(self, call_id: str, decision: Work) -> None:
        """Let the session act on an approval or a refusal, and wait for the tool.

        Who waits may be cancelled; the tool goes on.
        """
        call = self._calls[call_id]
        await asyncio.wait([self._tasks.start(self._answered(call, decision))])

    def begun(self, name: str, arguments: str) -> FunctionCall:
        """Return which call it is that begins with these."""
        call = self._find(name, arguments, None)
        self._begun[call.call_id] = True
        return call

    def ended(self, name: str, arguments: str) -> tuple[FunctionCall, bool]:
        """Return which call it is that has ended, and whether it had begun."""
        try:
            call, begun = self._find(name, arguments, True), True
        except LookupError:
            call, begun = self._find(name, arguments, None), False
        self._begun[call.call_id] = False
        return call, begun

    def _find(self, name: str, arguments: str, begun: bool | None) -> FunctionCall:
        # The session does not tell which call it is; of two alike it is the first.
        for call_id, call in self._calls.items():
            alike = (call.name, call.arguments) == (name, arguments)
            if alike and self._begun.get(call_id) is begun:
                return call
        raise LookupError(f"there is no call of {name} that could be meant")

    def _note(self, settings: Mapping[str, Any]) -> None:
        names = (handoff.tool_name for handoff in settings.get("handoffs") or ())
        self._handoffs = frozenset(names)

    def _turn_started(self, turn: TurnStarted) -> None:
        self._ongoing.add(turn.response_id)

    def _turn_done(self, turn: TurnDone) -> None:
        self._ongoing.discard(turn.response_id)
        if not self._ongoing:
            self._release()

    def _turns_lost(self, _: Reconnecting) -> None:
        self._ongoing.clear()
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        if held or self._owed:
            self._handing_over += len(held)
            self._tasks.start(self._follow(held))

    async def _follow(self, handoffs: Sequence[FunctionCall]) -> None:
        try:
            await asyncio.gather(*map(self._dispatch, handoffs))
        finally:
            self._handing_over -= len(handoffs)
        if self._owed and not self._handing_over:
            self._owed = False
            await self._connected()
            self._transport.request_response()

    async def _connected(self) -> None:
        while self._transport.status == "connecting":
            changed = asyncio.Event()
            self._transport.once("connection_change", lambda _, e=changed: e.set())
            await changed.wait()

    def _call(self, call: FunctionCall) -> None:
        # What else the response calls is still the old agent's.
        if self._ongoing and call.name in self._handoffs:
            self._held.append(call)
        else:
            self._tasks.start(self._dispatch(call))

    def _dispatch(self, call: FunctionCall) -> Coroutine[Any, Any, None]:
        fields = (call.name, call.call_id, call.arguments, call.id)
        called = RealtimeModelToolCallEvent(*fields)
        work = partial(self._session.on_event, called)
        if call.call_id in self._calls:
            return work()  # the session knows it, and answers at most once
        self._calls[call.call_id] = call
        return self._answered(call, work)

    async def _answered(self, call: FunctionCall, work: Work) -> None:
        try:
            await work()
            return
        except asyncio.CancelledError as cancelled:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            # The tool has cancelled itself.
            error: Exception = OffhookError(f"Tool '{call.name}' was cancelled.")
            error.__cause__ = cancelled
        except Exception as failure:
            error = failure
        if self._transport.status == "disconnected":
            return  # nobody waits for it any more
        self._failed(error)
        fields = (call.name, call.call_id, call.arguments, call.id)
        called = RealtimeModelToolCallEvent(*fields)
        answer = RealtimeModelSendToolOutput(called, _FAILED, start_response=True)
        await self.send_event(answer)
