from __future__ import annotations

import asyncio

import pytest

from offhook.errors import InvalidRequest, ServerError
from offhook.transports.outbox import Outbox
from offhook.wire.memory import pair
from offhook.wire.pushed import Pushed

pytestmark = pytest.mark.anyio


def unexpected(error: InvalidRequest) -> None:
    raise error


async def test_what_waits_goes_in_order_and_draining_waits_for_it() -> None:
    box, (near, far) = Outbox(), pair()
    await box.drain()
    for number in range(300):
        box.put(str(number))
    draining = asyncio.create_task(box.drain())
    writing = asyncio.create_task(box.write(near, unexpected))
    assert await far.receive() == "0"
    assert not draining.done()
    assert [int(await far.receive()) for _ in range(299)] == [*range(1, 300)]
    await asyncio.wait_for(draining, 10)
    box.put("later")
    assert await far.receive() == "later"
    writing.cancel()


async def test_too_much_is_refused_and_clearing_makes_room() -> None:
    box = Outbox()
    for _ in range(24):
        box.admit(2**20)
        box.put("x" * 2**20)
    with pytest.raises(ServerError, match="drain"):
        box.admit(1)
    box.put("an event of our own")
    with pytest.raises(ServerError, match="drain"):
        box.put("x" * 25 * 2**20)
    draining = asyncio.create_task(box.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    box.clear()
    await asyncio.wait_for(draining, 10)
    box.admit(24 * 2**20)


async def test_what_a_broken_wire_did_not_take_is_kept_for_the_next() -> None:
    box, (near, far), (other, end) = Outbox(), pair(), pair()
    await far.close(1001)
    box.put("kept")
    await asyncio.wait_for(box.write(near, unexpected), 10)
    writing = asyncio.create_task(box.write(other, unexpected))
    assert await asyncio.wait_for(end.receive(), 10) == "kept"
    writing.cancel()


async def test_clearing_while_a_text_leaves_counts_nothing_twice() -> None:
    box, (near, far) = Outbox(), pair()
    for _ in range(400):
        box.put("x")
    writing = asyncio.create_task(box.write(near, unexpected))
    assert await far.receive() == "x"
    box.clear()
    box.put("after")
    while (text := await asyncio.wait_for(far.receive(), 10)) != "after":
        assert text == "x"
    await asyncio.wait_for(box.drain(), 10)
    writing.cancel()


async def test_a_text_that_the_wire_does_not_take_is_told_and_left_out() -> None:
    box, refused = Outbox(), list[InvalidRequest]()
    error = InvalidRequest("too long")

    async def send(text: str) -> None:
        if text == "long":
            raise error

    async def leave() -> None:
        pass

    box.put("long")
    box.put("short")
    writing = asyncio.create_task(box.write(Pushed(send, leave), refused.append))
    await asyncio.wait_for(box.drain(), 10)
    assert refused == [error]
    writing.cancel()
