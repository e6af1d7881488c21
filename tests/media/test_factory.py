from __future__ import annotations

import asyncio
import gc
import os

import pytest

from offhook.errors import InvalidRequest, ServerError
from offhook.media.factory import PeerFactory
from tests.caller import Caller, offer
from tests.media.calls import Ear, nothing, until
from tests.protocol.offers import BROWSERS

pytestmark = pytest.mark.anyio

OFFER = BROWSERS["firefox"].decode()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_too_many_that_wait_are_turned_away() -> None:
    async with PeerFactory(waiting=2) as peers:
        first, second = (peers.make(Ear(), nothing) for _ in range(2))
        with pytest.raises(ServerError) as caught:
            peers.make(Ear(), nothing)
        assert (caught.value.status, caught.value.code) == (503, "server_busy")
        assert caught.value.retry_after == "5"
        await first.close()
        await first.close()  # gives one place back, not two
        third = peers.make(Ear(), nothing)
        with pytest.raises(ServerError):
            peers.make(Ear(), nothing)
        await third.close()
        await second.close()


async def test_who_has_connected_waits_no_more() -> None:
    caller, ear = Caller(), Ear()
    async with PeerFactory(waiting=1) as peers, peers.make(ear, nothing) as peer:
        answer = await peer.answer(await offer(caller))
        with pytest.raises(ServerError):
            peers.make(Ear(), nothing)
        description = type(caller.peer.localDescription)(answer, "answer")
        await caller.peer.setRemoteDescription(description)
        await ear.until(lambda: ear.openings)
        async with peers.make(Ear(), nothing):
            pass
        await caller.close()


async def test_who_is_refused_waits_no_more() -> None:
    async with PeerFactory(waiting=1) as peers:
        for _ in range(3):
            async with peers.make(Ear(), nothing) as peer:
                with pytest.raises(InvalidRequest):
                    await peer.answer(OFFER.replace("opus", "speex"))


async def test_callers_who_never_come_leave_nothing() -> None:
    async def abandoned(peers: PeerFactory) -> None:
        async with peers.make(Ear(), nothing) as peer:
            await peer.answer(OFFER)
            await peer.run()

    gc.collect()
    before, tasks = descriptors(), asyncio.all_tasks()
    async with PeerFactory(waiting=50, patience=0.3) as peers:
        for _ in range(2):
            await asyncio.gather(*(abandoned(peers) for _ in range(50)))
    assert descriptors() == before
    await until(lambda: asyncio.all_tasks() == tasks)
