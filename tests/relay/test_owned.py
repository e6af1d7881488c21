from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from offhook.errors import SettingsError
from offhook.relay.owned import Owned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Thing:
    """Counts how often it was opened and closed, each by the same task."""

    def __init__(self) -> None:
        self.opened = self.closed = 0
        self.failing = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        self.opened += 1
        if self.failing:
            raise SettingsError("no")
        owner = asyncio.current_task()
        try:
            yield self.opened
        finally:
            assert asyncio.current_task() is owner
            self.closed += 1


@pytest.mark.anyio
async def test_many_open_it_once_and_it_can_be_opened_again() -> None:
    thing = Thing()
    owned = Owned(thing.open)
    assert thing.opened == 0
    assert await asyncio.gather(*(owned.get() for _ in range(5))) == [1] * 5
    await owned.aclose()
    assert thing.closed == 1
    assert await owned.get() == 2
    await owned.aclose()
    await owned.aclose()
    assert (thing.opened, thing.closed) == (2, 2)


@pytest.mark.anyio
async def test_what_failed_is_tried_again() -> None:
    thing = Thing()
    thing.failing = True
    owned = Owned(thing.open)
    for _ in range(2):
        with pytest.raises(SettingsError):
            await owned.get()
    thing.failing = False
    assert await owned.get() == 3
    await owned.aclose()


@pytest.mark.anyio
async def test_a_waiter_that_gives_up_leaves_it_to_the_others() -> None:
    thing = Thing()
    owned = Owned(thing.open)
    impatient = asyncio.ensure_future(owned.get())
    patient = asyncio.ensure_future(owned.get())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == 1
    await owned.aclose()
    assert thing.closed == 1


def test_each_event_loop_has_its_own_and_closes_it() -> None:
    thing = Thing()
    owned = Owned(thing.open)
    assert [asyncio.run(owned.get()) for _ in range(2)] == [1, 2]
    assert thing.closed == 2


@pytest.mark.anyio
async def test_it_can_be_opened_before_anybody_asks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    thing = Thing()
    owned = Owned(thing.open)
    owned.start()
    owned.start()
    assert await owned.get() == 1
    await owned.aclose()
    assert caplog.messages == []
    # Where nobody asks, the log has to tell, and once is enough.
    thing.failing = True
    for _ in range(2):
        owned.start()
        with pytest.raises(SettingsError):
            await owned.get()
    assert caplog.messages == ["no"]
    assert thing.closed == 1
