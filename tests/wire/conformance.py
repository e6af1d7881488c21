"""What every wire does: the suite that each one's tests inherit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from offhook.errors import WireClosed

if TYPE_CHECKING:
    from offhook.wire.base import Wire

Pair = tuple["Wire", "Wire"]

# More than any wire takes without somebody who reads.
LONG = "x" * 2**20


async def turn() -> None:
    """Let the other tasks run."""
    await asyncio.sleep(0)


async def until_closed(wire: Wire) -> WireClosed:
    with pytest.raises(WireClosed) as caught:
        while True:
            await wire.receive()
    return caught.value


class Conformance:
    """Tests over the fixture `wires`: two connected ends."""

    pytestmark = pytest.mark.anyio

    async def test_texts_pass_both_ways_in_order(self, wires: Pair) -> None:
        near, far = wires
        for text in ("one", "zwö", "", "three"):
            await near.send(text)
        await far.send("back")
        assert [await far.receive() for _ in range(4)] == ["one", "zwö", "", "three"]
        assert await near.receive() == "back"
        assert near.closed is None
        assert far.closed is None

    async def test_a_close_carries_its_code_and_reason(self, wires: Pair) -> None:
        near, far = wires
        receiving = asyncio.create_task(until_closed(near))
        await far.close(4001, "had enough")
        closed = await receiving
        assert (closed.close_code, closed.reason) == (4001, "had enough")
        for wire in wires:
            assert wire.closed is not None
            assert wire.closed.close_code == 4001
            assert wire.closed.reason == "had enough"

    async def test_what_came_before_a_close_is_received(self, wires: Pair) -> None:
        near, far = wires
        await far.send("one")
        await far.send("two")
        closing = asyncio.create_task(far.close())
        assert [text async for text in near] == ["one", "two"]
        await closing
        assert near.closed is not None
        assert near.closed.close_code == 1000

    async def test_after_either_close_all_raises(self, wires: Pair) -> None:
        near, far = wires
        await far.send("unread")
        await asyncio.gather(near.close(), until_closed(far))
        for wire in wires:
            with pytest.raises(WireClosed):
                await wire.send("late")
            with pytest.raises(WireClosed):
                await wire.receive()
            assert [text async for text in wire] == []

    async def test_closing_again_changes_nothing(self, wires: Pair) -> None:
        near, far = wires
        receiving = asyncio.create_task(until_closed(far))
        await asyncio.gather(near.close(4001), near.close(4001))
        await near.close(4002)
        assert (await receiving).close_code == 4001
        await far.close(4003)
        assert far.closed is not None
        assert far.closed.close_code == 4001

    async def test_a_close_wakes_who_receives(self, wires: Pair) -> None:
        near, far = wires
        receiving = asyncio.create_task(until_closed(near))
        await turn()
        await asyncio.gather(near.close(4005), until_closed(far))
        assert (await receiving).close_code == 4005

    async def test_a_cancelled_receive_loses_nothing(self, wires: Pair) -> None:
        near, far = wires
        receiving = asyncio.create_task(near.receive())
        await turn()
        await far.send("one")
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        assert receiving.cancelled()
        await far.send("two")
        assert [await near.receive(), await near.receive()] == ["one", "two"]

    async def test_one_task_receives_at_a_time(self, wires: Pair) -> None:
        near, far = wires
        receiving = asyncio.create_task(near.receive())
        await turn()
        with pytest.raises(RuntimeError):
            await near.receive()
        await far.send("for the first")
        assert await receiving == "for the first"

    async def test_sending_waits_for_a_slow_reader(self, wires: Pair) -> None:
        near, far = wires
        sent: list[int] = []

        async def pour() -> None:
            for number in range(500):
                await near.send(f"{number} {LONG if number % 10 == 0 else ''}")
                sent.append(number)

        pouring = asyncio.create_task(pour())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.shield(pouring)
        assert len(sent) < 400
        texts = [await far.receive() for _ in range(500)]
        await pouring
        assert [int(text.partition(" ")[0]) for text in texts] == list(range(500))

    async def test_texts_of_many_senders_keep_the_order_of_the_calls(
        self, wires: Pair
    ) -> None:
        near, far = wires
        sending = [
            asyncio.create_task(near.send(f"{number} {LONG}")) for number in range(40)
        ]
        texts = [await far.receive() for _ in range(40)]
        await asyncio.gather(*sending)
        assert [int(text.partition(" ")[0]) for text in texts] == list(range(40))

    async def test_a_close_wakes_who_waits_to_send(self, wires: Pair) -> None:
        near, _ = wires

        async def pour() -> None:
            while True:
                await near.send(LONG[:65536])

        pouring = asyncio.create_task(pour())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.shield(pouring)
        await near.close()
        with pytest.raises(WireClosed):
            await pouring

    async def test_a_cancelled_close_closes(self, wires: Pair) -> None:
        near, far = wires
        closing = asyncio.create_task(near.close())
        await turn()
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        await until_closed(far)
        await until_closed(near)

    async def test_a_long_reason_is_cut_between_characters(self, wires: Pair) -> None:
        near, far = wires
        closed, _ = await asyncio.gather(until_closed(far), near.close(4000, "ä" * 99))
        assert closed.reason == "ä" * 61

    @pytest.mark.parametrize("code", [0, 999, 1005, 1006, 1015, 2999, 5000])
    async def test_a_code_that_nobody_may_send_is_refused(
        self, wires: Pair, code: int
    ) -> None:
        with pytest.raises(ValueError, match=str(code)):
            await wires[0].close(code)
        assert wires[0].closed is None
