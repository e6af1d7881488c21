from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from offhook.errors import WireClosed
from offhook.wire.pushed import Pushed
from tests.wire.conformance import LONG, Conformance, until_closed

if TYPE_CHECKING:
    from tests.wire.conformance import Pair

pytestmark = pytest.mark.anyio


@pytest.fixture
def wires() -> Pair:
    """Two ends, each of which calls the other; the code goes along in memory."""

    async def to_far(text: str) -> None:
        far.take(text)

    async def to_near(text: str) -> None:
        near.take(text)

    async def leave_near() -> None:
        if near.closed:
            far.end(near.closed.close_code, near.closed.reason)

    async def leave_far() -> None:
        if far.closed:
            near.end(far.closed.close_code, far.closed.reason)

    near, far = Pushed(to_far, leave_near), Pushed(to_near, leave_far)
    return near, far


class TestPushed(Conformance):
    async def test_sending_waits_for_a_slow_reader(self, wires: Pair) -> None:
        """It cannot: who pushes is not held back, so too much ends the connection."""
        near, far = wires
        for _ in range(33):
            await near.send(LONG)
        assert far.closed is not None
        assert (far.closed.close_code, far.closed.reason) == (
            4008,
            "too much is unread",
        )
        assert len([text async for text in far]) == 33

    async def test_many_short_texts_may_be_too_much(self, wires: Pair) -> None:
        near, far = wires
        for _ in range(4097):
            await near.send("")
        assert (await until_closed(far)).close_code == 4008

    async def test_texts_of_many_senders_keep_the_order_of_the_calls(
        self, wires: Pair
    ) -> None:
        near, far = wires
        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(near.send(str(number)))
        assert [await far.receive() for _ in range(40)] == [*map(str, range(40))]

    async def test_a_close_wakes_who_waits_to_send(self, wires: Pair) -> None:
        """What `send` waits for has to end; who has sent is told."""
        under_way = asyncio.Event()

        async def send(text: str) -> None:
            await under_way.wait()

        async def leave() -> None:
            under_way.set()

        wire = Pushed(send, leave)
        sending = asyncio.create_task(wire.send("late"))
        await asyncio.sleep(0)
        await wire.close()
        with pytest.raises(WireClosed):
            await sending


async def test_the_first_end_counts_and_later_texts_do_not() -> None:
    async def nothing(*_: object) -> None:
        pass

    wire = Pushed(nothing, nothing)
    wire.take("one")
    wire.end(1006, "lost")
    wire.end(1000)
    wire.take("two")
    assert [text async for text in wire] == ["one"]
    assert wire.closed is not None
    assert (wire.closed.close_code, wire.closed.reason) == (1006, "lost")
