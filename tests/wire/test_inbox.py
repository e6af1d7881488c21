from __future__ import annotations

import asyncio

import pytest

from offhook.errors import WireClosed
from offhook.wire.inbox import Inbox

pytestmark = pytest.mark.anyio


async def test_it_counts_what_is_unread() -> None:
    inbox = Inbox()
    for text in ("one", "three"):
        inbox.put(text)
    assert (len(inbox), inbox.characters) == (2, 8)
    assert await inbox.receive() == "one"
    assert (len(inbox), inbox.characters) == (1, 5)
    inbox.clear()
    assert (len(inbox), inbox.characters) == (0, 0)


async def test_the_first_end_counts_and_what_came_can_be_received() -> None:
    inbox = Inbox()
    inbox.put("one")
    inbox.end(1006, "lost")
    inbox.end(1000, "")
    assert [text async for text in inbox.receive_all()] == ["one"]
    with pytest.raises(WireClosed, match="lost"):
        await inbox.receive()
    with pytest.raises(WireClosed, match="lost"):
        inbox.check()


@pytest.mark.parametrize("way", ["receive", "end"])
async def test_who_waits_for_room_goes_on_when_there_is_some(way: str) -> None:
    inbox = Inbox()
    for text in ("one", "two"):
        inbox.put(text)
    await inbox.room(2)
    waiting = asyncio.create_task(inbox.room(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    if way == "receive":
        await inbox.receive()
    else:
        inbox.end(1000, "")
    await waiting
