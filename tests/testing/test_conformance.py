from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import InvalidRequest
from offhook.protocol import transport_events as told
from offhook.testing.conformance import TransportConformance
from offhook.transports.emitter import Emitter, Listened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from offhook.protocol.transport_events import FunctionCall, Status
    from offhook.transports.base import RealtimeTransportLayer


class Parrot(Listened):
    """A transport of a user's own, to a model that says what it is told."""

    muted = None

    def __init__(self) -> None:
        self.status: Status = "disconnected"
        super().__init__(Emitter())
        self._numbers = itertools.count(1)
        self._connecting: asyncio.Task[None] | None = None
        self._turn: asyncio.Task[None] | None = None

    async def connect(self, **_: Any) -> None:
        if self.status != "disconnected":
            raise InvalidRequest("The parrot is there: close it before you connect.")
        self._change("connecting")
        self._connecting = asyncio.create_task(self._fly())
        try:
            await self._connecting
        except asyncio.CancelledError:
            if self.status == "disconnected":
                raise InvalidRequest("The parrot was sent away.") from None
            await self.close()
            raise

    async def drain(self) -> None:
        pass

    async def close(self) -> None:
        connecting, turn = self._connecting, self._turn
        self._connecting = self._turn = None
        self._change("disconnected")
        for task in (connecting, turn):
            if task:
                task.cancel()
                await asyncio.wait([task])
        await self._emitter.aclose()

    def send_event(self, event: dict[str, Any]) -> None:
        self._check()

    def request_response(self, response: Mapping[str, Any] | None = None) -> None:
        self._check()

    def send_message(
        self,
        message: str | Sequence[Mapping[str, Any]],
        other_event_data: Mapping[str, Any] | None = None,
        *,
        trigger_response: bool = True,
    ) -> None:
        self._check()
        if trigger_response:
            self._turn = asyncio.create_task(self._repeat(str(message)))

    def add_image(self, image: str, *, trigger_response: bool = True) -> None:
        self._check()

    def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
        pass

    def update_session_config(self, config: Mapping[str, Any]) -> None:
        self._check()

    def mute(self, muted: bool) -> None:
        raise InvalidRequest("A parrot has no microphone.")

    def send_function_call_output(
        self, call: FunctionCall, output: str, *, start_response: bool = True
    ) -> None:
        self._check()

    def interrupt(self) -> None:
        self._check()

    def reset_history(
        self, old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]
    ) -> None:
        self._check()

    def send_mcp_response(
        self, request_id: str, approve: bool, reason: str | None = None
    ) -> None:
        self._check()

    async def _fly(self) -> None:
        await asyncio.sleep(0)
        self._change("connected")

    async def _repeat(self, words: str) -> None:
        turn, emit = f"turn_{next(self._numbers)}", self._emitter.emit
        emit("*", {"type": "squawk", "words": words})
        emit("turn_started", told.TurnStarted(turn, {"type": "squawk"}))
        await asyncio.sleep(0)
        item = {"item_id": f"{turn}_item", "type": "message", "role": "assistant"}
        emit("item_update", told.ItemUpdate({**item, "content": [words]}))
        emit("turn_done", told.TurnDone(turn, "completed", (), told.Usage()))

    def _change(self, status: Status) -> None:
        if status != self.status:
            self.status = status
            self._emitter.emit("connection_change", status)

    def _check(self) -> None:
        if self.status != "connected":
            raise InvalidRequest("There is no parrot: await connect() first.")


class TestParrot(TransportConformance):
    @pytest.fixture
    def make(self) -> Callable[[], RealtimeTransportLayer]:
        return Parrot


class Deaf(Parrot):
    """Says nothing of its connection."""

    def _change(self, status: Status) -> None:
        self.status = status


class Forgetful(Parrot):
    """Leaves a task behind."""

    async def close(self) -> None:
        self._left = asyncio.create_task(asyncio.sleep(3600))
        await super().close()


class Mute(Parrot):
    """Answers nothing."""

    async def _repeat(self, words: str) -> None:
        pass


class Ghost(Parrot):
    """Speaks without a connection."""

    def _check(self) -> None:
        pass


class Double(Parrot):
    """Connects as often as it is asked."""

    async def connect(self, **_: Any) -> None:
        self.status = "connected"
        self._emitter.emit("connection_change", "connected")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Deaf, TransportConformance.test_it_says_how_the_connection_fares),
        (Ghost, TransportConformance.test_without_a_connection_it_says_so),
        (Mute, TransportConformance.test_a_message_is_answered_by_a_turn),
        (Mute, TransportConformance.test_an_answer_can_be_interrupted),
        (Deaf, TransportConformance.test_listeners_come_and_go),
        (Double, TransportConformance.test_two_that_connect_make_one_connection),
    ],
)
async def test_what_is_broken_fails(
    broken: type[Parrot], test: Callable[..., Any]
) -> None:
    suite = TransportConformance()
    suite.patience = 0.5
    transport = broken()
    with pytest.raises((AssertionError, TimeoutError, pytest.fail.Exception)):
        await test(suite, transport)
    await transport.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "test",
    [
        TransportConformance.test_connections_leave_nothing,
        TransportConformance.test_connect_can_be_cancelled_at_any_moment,
    ],
)
async def test_what_is_left_behind_is_found(test: Callable[..., Any]) -> None:
    made: list[Forgetful] = []

    def make() -> Forgetful:
        made.append(Forgetful())
        return made[-1]

    suite = TransportConformance()
    suite.patience = 0.5
    before = asyncio.all_tasks()
    with pytest.raises(AssertionError):
        await test(suite, make)
    for task in asyncio.all_tasks() - before:
        task.cancel()
