from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from agents.realtime.model import RealtimeModelListener, RealtimePlaybackTracker
from agents.realtime.model_events import RealtimeModelToolCallEvent
from agents.realtime.model_inputs import (
    RealtimeModelSendInterrupt,
    RealtimeModelSendToolOutput,
    RealtimeModelSendUserInput,
)

from offhook.agent import TransportModel
from offhook.errors import InvalidRequest, UpstreamError
from offhook.protocol import transport_events as told
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from tests.agent.custom import Fake
from tests.clients.conversations import Conversations, running
from tests.clients.records import said
from tests.extras import without

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agents.realtime import RealtimeModel
    from agents.realtime.model import RealtimeModelConfig
    from agents.realtime.model_events import RealtimeModelEvent

    from tests.clients.conversations import Make

pytestmark = pytest.mark.anyio


def over(local_url: str, *, query: str = "model=gpt-realtime") -> TransportModel:
    url = f"{local_url.replace('http', 'ws', 1)}/realtime?{query}"
    return TransportModel(OpenAIRealtimeWebSocket(url=url, api_key="sk-any"))


class TestConversations(Conversations):
    """The SDK over one of our transports."""

    @pytest.fixture
    def make(self, local_url: str) -> Make:
        def made(call_id: str | None) -> tuple[RealtimeModel, RealtimeModelConfig]:
            if call_id is None:
                return over(local_url), {}
            return over(local_url), {"call_id": call_id}

        return made


async def test_the_connection_is_told(local_url: str) -> None:
    model = over(local_url)
    async with running((model, {})) as run:
        pass
    statuses = [
        report.data.status
        for report in run.reports
        if report.type == "raw_model_event" and report.data.type == "connection_status"
    ]
    assert statuses == ["connecting", "connected"]
    async with running((model, {})) as run:
        await run.session.send_message("What is 6 times 7?")
        await run.answers(1)
        with pytest.raises(InvalidRequest, match="close the other"):
            await model.connect({})
    assert "42" in said(run.events)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"headers": {"a": "b"}}, "headers to the transport"),
        ({"playback_tracker": RealtimePlaybackTracker()}, "reported=True"),
        ({"api_key": "ek_unknown"}, "secret is unknown"),
    ],
)
async def test_what_cannot_be_connected_can_be_tried_again(
    local_url: str, options: RealtimeModelConfig, message: str
) -> None:
    model = over(local_url)
    with pytest.raises((InvalidRequest, UpstreamError), match=message):
        await model.connect(options)
    async with running((model, {})):
        pass


class Listening(RealtimeModelListener):
    def __init__(self) -> None:
        self.events: asyncio.Queue[RealtimeModelEvent] = asyncio.Queue()

    async def on_event(self, event: RealtimeModelEvent) -> None:
        self.events.put_nowait(event)

    async def next(self) -> Any:
        async with asyncio.timeout(20):
            return await self.events.get()


@asynccontextmanager
async def faked() -> AsyncIterator[tuple[Fake, TransportModel, Listening]]:
    fake, listening = Fake(), Listening()
    transport: Any = fake
    model = TransportModel(transport)
    model.add_listener(listening)
    model.add_listener(listening)
    await model.connect({"initial_model_settings": {"tracing": None}})
    yield fake, model, listening
    await model.close()


def started(response_id: str) -> told.TurnStarted:
    return told.TurnStarted(response_id, {})


async def test_a_broken_connection_is_an_exception_and_no_end() -> None:
    async with faked() as (fake, _, listening):
        fake.status = "disconnected"
        error = UpstreamError("gone")
        fake.emit("connection_change", "disconnected")
        fake.emit("error", told.TransportError(error))
        fake.emit("disconnected")
        fake.emit("*", {"type": "last"})
        kinds = [(await listening.next()).type for _ in range(3)]
    assert kinds == ["connection_status", "exception", "raw_server_event"]


async def test_an_orderly_end_ends_the_stream() -> None:
    async with faked() as (fake, _, listening):
        fake.emit("connection_change", "disconnecting")
        fake.emit("connection_change", "disconnected")
        fake.emit("disconnected")
        kinds = [(await listening.next()).type for _ in range(2)]
    assert kinds == ["connection_status", "end_of_stream"]


async def test_what_is_refused_is_an_error_and_what_is_unknown_is_none() -> None:
    async with faked() as (fake, model, listening):
        fake.emit("*", {"type": "never.heard.of"})
        fake.emit("never.heard.of", {"type": "never.heard.of"})
        fake.emit("error", told.TransportError({"message": "No.", "code": "no"}))
        assert (await listening.next()).type == "raw_server_event"
        error = (await listening.next()).error
        assert (error.message, error.code) == ("No.", "no")
        model.remove_listener(listening)
        fake.emit("*", {"type": "unseen"})


async def test_a_listener_that_fails_is_told() -> None:
    class Failing(RealtimeModelListener):
        async def on_event(self, event: RealtimeModelEvent) -> None:
            if event.type != "exception":
                raise ValueError("broken")

    async with faked() as (fake, model, listening):
        model.add_listener(Failing())
        fake.emit("item_deleted", told.ItemDeleted("item_1"))
        assert (await listening.next()).item_id == "item_1"
        assert str((await listening.next()).exception) == "broken"


@pytest.mark.parametrize(
    ("interrupt", "ongoing", "calls"),
    [
        ({}, "r1", [("interrupt",)]),
        ({"response_id": "r1", "force_response_cancel": True}, "r1", [("interrupt",)]),
        ({"response_id": "r1", "playback_only": True}, None, [("interrupt",)]),
        # Another answer is not to be stopped.
        ({"response_id": "r1", "playback_only": True}, "r2", []),
        ({"response_id": "r1"}, "r2", []),
        ({"response_id": "r0"}, "r1", []),
        # It has not spoken.
        ({"response_id": "r2"}, "r2", ["r2"]),
        ({"response_id": "r1", "cancel_response_only": True}, "r1", ["r1"]),
        ({"response_id": "r1", "cancel_response_only": True}, None, []),
    ],
)
async def test_an_interruption_may_be_about_one_response(
    interrupt: dict[str, Any], ongoing: str | None, calls: list[Any]
) -> None:
    async with faked() as (fake, model, _):
        fake.emit("turn_started", started("r1"))
        fake.emit("audio", told.Audio(b"", "r1", "item_1", 0))
        if ongoing != "r1":
            fake.emit("turn_done", told.TurnDone("r1", "completed", (), told.Usage()))
        if ongoing == "r2":
            fake.emit("turn_started", started("r2"))
        await model.send_event(RealtimeModelSendInterrupt(**interrupt))
        expected = [
            ("send_event", {"type": "response.cancel", "response_id": call})
            if isinstance(call, str)
            else call
            for call in calls
        ]
        assert fake.calls == expected


async def test_an_interruption_that_contradicts_itself() -> None:
    async with faked() as (_, model, _):
        both = RealtimeModelSendInterrupt(
            playback_only=True, force_response_cancel=True
        )
        with pytest.raises(ValueError, match="contradict"):
            await model.send_event(both)
        nothing = RealtimeModelSendInterrupt(cancel_response_only=True)
        with pytest.raises(ValueError, match="response_id"):
            await model.send_event(nothing)


async def test_where_the_server_plays_the_last_item_is_the_interrupted_one() -> None:
    async with faked() as (fake, _, listening):
        fake.emit("audio_interrupted", told.AudioInterrupted())
        fake.emit("audio_transcript_delta", told.Delta("Hello", "item_1", "r1"))
        fake.emit("audio_interrupted", told.AudioInterrupted())
        assert (await listening.next()).delta == "Hello"
        assert (await listening.next()).item_id == "item_1"


async def test_an_event_may_depend_on_a_condition() -> None:
    async with faked() as (fake, model, _):
        event = RealtimeModelSendUserInput("Hello")
        assert not await model.send_event_if(event, lambda: False)
        assert fake.calls == []
        assert await model.send_event_if(event, lambda: True)
        assert fake.calls == [("send_message", "Hello")]


async def test_a_tools_output() -> None:
    async with faked() as (fake, model, _):
        call = RealtimeModelToolCallEvent("f", "call_1", "{}", "item_1")
        await model.send_event(RealtimeModelSendToolOutput(call, "yes", False))
        [(name, called, output, start)] = fake.calls
        assert (name, output, start) == ("send_function_call_output", "yes", False)
        assert (called.id, called.call_id) == ("item_1", "call_1")
        await model.send_event(RealtimeModelSendToolOutput(call, "yes", True))
        assert [name for name, *_ in fake.calls[2:]] == ["request_response"]


async def test_a_listener_may_close() -> None:
    class Closing(RealtimeModelListener):
        def __init__(self) -> None:
            self.closed = asyncio.Event()

        async def on_event(self, event: RealtimeModelEvent) -> None:
            await model.close()
            self.closed.set()

    async with faked() as (fake, model, _):
        closing = Closing()
        model.add_listener(closing)
        fake.emit("item_deleted", told.ItemDeleted("item_1"))
        async with asyncio.timeout(20):
            await closing.closed.wait()


def test_without_the_sdk_the_extra_is_named() -> None:
    assert "offhook[agents]" in without("agents")("import offhook.agent")
