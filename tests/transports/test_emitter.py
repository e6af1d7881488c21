from __future__ import annotations

import asyncio
from typing import Any

import pytest

from offhook.transports import emitter as module
from offhook.transports.emitter import Emitter

pytestmark = pytest.mark.anyio


@pytest.fixture
def emitter() -> Emitter:
    return Emitter(grace=0)


async def turn() -> None:
    """Let the tasks that are ready run."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_listeners_are_called_at_once_in_order(emitter: Emitter) -> None:
    heard: list[Any] = []
    emitter.on("a", lambda *args: heard.append(("first", *args))).on(
        "a", lambda *args: heard.append(("second", *args))
    )
    assert emitter.emit("a", 1, 2)
    assert heard == [("first", 1, 2), ("second", 1, 2)]
    assert not emitter.emit("b")
    assert not emitter.emit("*")


def test_off_removes_the_latest_registration_only(emitter: Emitter) -> None:
    heard: list[str] = []

    def twice() -> None:
        heard.append("twice")

    emitter.on("a", twice).on("a", lambda: heard.append("between")).on("a", twice)
    emitter.off("a", twice).emit("a")
    assert heard == ["twice", "between"]
    emitter.off("a", twice).off("a", twice).off("b", twice).emit("a")
    assert heard == ["twice", "between", "between"]


def test_bound_methods_can_be_removed(emitter: Emitter) -> None:
    heard: list[int] = []
    emitter.on("a", heard.append).off("a", heard.append)
    assert not emitter.emit("a", 1)


def test_once_is_once_even_when_emitted_again_meanwhile(emitter: Emitter) -> None:
    heard: list[str] = []
    emitter.once("a", lambda: emitter.emit("a"))
    emitter.once("a", lambda: heard.append("once"))
    assert emitter.emit("a")
    assert heard == ["once"]
    assert not emitter.emit("a")
    emitter.once("a", heard.clear).off("a", heard.clear)
    assert not emitter.emit("a")


def test_who_comes_or_goes_during_an_event_does_so_for_the_next(
    emitter: Emitter,
) -> None:
    heard: list[str] = []

    def leaving() -> None:
        heard.append("leaving")

    def coming() -> None:
        heard.append("coming")

    def change() -> None:
        emitter.off("a", leaving).on("a", coming)

    emitter.once("a", change).on("a", leaving)
    emitter.emit("a")
    assert heard == ["leaving"]
    emitter.emit("a")
    assert heard == ["leaving", "coming"]


def test_a_listener_that_fails_is_logged_and_stops_nobody(
    emitter: Emitter, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def broken(event: str) -> None:
        raise LookupError("why")

    emitter.on("a", broken).on("a", heard.append)
    assert emitter.emit("a", "event")
    assert heard == ["event"]
    [record] = caplog.records
    assert "broken of a failed" in record.message
    assert "LookupError: why" in caplog.text


def test_an_error_that_nobody_listens_to_is_logged_without_keys(
    emitter: Emitter, caplog: pytest.LogCaptureFixture
) -> None:
    assert not emitter.emit("error", {"message": "wrong key sk-abc"})
    assert "wrong key [redacted]" in caplog.text
    caplog.clear()
    assert emitter.on("error", lambda error: None).emit("error", "why")
    assert caplog.text == ""


def test_a_coroutine_listener_without_a_loop_is_logged(
    emitter: Emitter, caplog: pytest.LogCaptureFixture
) -> None:
    async def listen() -> None:
        pass

    assert emitter.on("a", listen).emit("a")
    assert "no running event loop" in caplog.text


async def test_coroutine_listeners_run_as_tasks(emitter: Emitter) -> None:
    heard: list[Any] = []

    async def listen(event: int) -> None:
        heard.append(event)
        await asyncio.sleep(0)
        heard.append(-event)

    emitter.on("a", listen)
    emitter.emit("a", 1)
    emitter.emit("a", 2)
    assert heard == []
    await turn()
    assert heard == [1, 2, -1, -2]


async def test_a_coroutine_listener_that_fails_is_logged(
    emitter: Emitter, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise LookupError("why")

    emitter.on("a", broken).emit("a")
    await turn()
    assert "broken of a failed" in caplog.text
    assert "LookupError: why" in caplog.text


async def test_a_listener_that_was_cancelled_from_within_has_failed(
    emitter: Emitter, caplog: pytest.LogCaptureFixture
) -> None:
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    gone.cancel()

    async def waits() -> None:
        await gone

    emitter.on("event", lambda: gone.result())
    emitter.on("event", waits)
    assert emitter.emit("event")
    await turn()
    assert caplog.text.count("of event failed") == 2


async def test_only_so_many_run_at_a_time(
    emitter: Emitter,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_RUNNING", 2)
    started: list[int] = []
    go = asyncio.Event()

    async def listen(event: int) -> None:
        started.append(event)
        await go.wait()

    emitter.on("a", listen)
    for event in range(4):
        emitter.emit("a", event)
    await turn()
    assert started == [0, 1]
    assert caplog.text.count("was not started: 2 are running") == 2
    go.set()
    await turn()
    emitter.emit("a", 4)
    await turn()
    assert started == [0, 1, 4]


async def test_aclose_lets_listeners_end_in_the_time_of_grace() -> None:
    emitter = Emitter(grace=10)
    heard: list[str] = []

    async def listen() -> None:
        await asyncio.sleep(0)
        heard.append("ended")

    emitter.on("a", listen).emit("a")
    await emitter.aclose()
    assert heard == ["ended"]


async def test_aclose_cancels_who_takes_longer(
    emitter: Emitter, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    async def listen() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            heard.append("cancelled")
            emitter.emit("late")

    async def late() -> None:
        heard.append("late")

    emitter.on("a", listen).on("late", late).emit("a")
    await turn()
    await emitter.aclose()
    await emitter.aclose()
    assert heard[0] == "cancelled"
    assert not [record for record in caplog.records if record.exc_info]


async def test_nothing_is_started_while_it_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    emitter = Emitter(grace=10)
    heard: list[str] = []

    async def listen() -> None:
        await asyncio.sleep(0)
        emitter.emit("late")

    async def late() -> None:
        heard.append("late")

    emitter.on("a", listen).on("late", late).emit("a")
    await emitter.aclose()
    assert heard == []
    assert "late was not started: the emitter closes" in caplog.text
    emitter.emit("late")
    await turn()
    assert heard == ["late"]


async def test_a_cancelled_aclose_cancels_the_listeners() -> None:
    emitter = Emitter(grace=10)
    left = asyncio.Event()

    async def listen() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    emitter.on("a", listen).emit("a")
    await turn()
    closing = asyncio.create_task(emitter.aclose())
    await turn()
    closing.cancel()
    await left.wait()
    assert (await asyncio.gather(closing, return_exceptions=True))[0]
    assert closing.cancelled()


async def test_a_listener_may_close() -> None:
    emitter = Emitter(grace=0)
    done = asyncio.Event()

    async def listen() -> None:
        await emitter.aclose()
        done.set()

    emitter.on("a", listen).emit("a")
    await done.wait()


async def test_a_stream_has_the_events_from_its_making_on(emitter: Emitter) -> None:
    emitter.emit("a", 0)
    events = emitter.stream("a")
    assert emitter.emit("a", 1)
    emitter.emit("b", 2)
    emitter.emit("a", 3, 4)
    emitter.emit("a")
    await emitter.aclose()
    assert not emitter.emit("a", 5)
    assert [event async for event in events] == [1, (3, 4), ()]
    assert events.dropped == 0


async def test_a_stream_waits_for_events(emitter: Emitter) -> None:
    heard: list[int] = []

    async def consume() -> None:
        heard.extend([event async for event in emitter.stream("a")])

    consuming = asyncio.create_task(consume())
    await turn()
    emitter.emit("a", 1)
    await turn()
    emitter.emit("a", 2)
    await emitter.aclose()
    await consuming
    assert heard == [1, 2]


async def test_a_stream_drops_the_oldest_and_counts_them(emitter: Emitter) -> None:
    events = emitter.stream("a", maxsize=2)
    for event in range(5):
        emitter.emit("a", event)
    assert events.dropped == 3
    assert [await anext(events), await anext(events)] == [3, 4]
    with pytest.raises(ValueError, match="room"):
        emitter.stream("a", maxsize=0)


async def test_a_cancelled_consumer_loses_nothing(emitter: Emitter) -> None:
    events = emitter.stream("a")
    consuming = asyncio.ensure_future(anext(events))
    await turn()
    emitter.emit("a", 1)
    consuming.cancel()
    await asyncio.gather(consuming, return_exceptions=True)
    assert consuming.cancelled()
    assert await anext(events) == 1


async def test_leaving_a_stream_ends_it(emitter: Emitter) -> None:
    async with emitter.stream("a") as events:
        emitter.emit("a", 1)
        emitter.emit("a", 2)
        async for event in events:
            assert event == 1
            break
    assert not emitter.emit("a", 3)
    assert [event async for event in events] == []
    await events.aclose()


async def test_a_listener_of_the_same_event_may_end_the_stream(
    emitter: Emitter,
) -> None:
    events = emitter.stream("a")
    emitter.on("a", lambda event: events.end())
    assert emitter.emit("a", 1)
    assert [event async for event in events] == []
