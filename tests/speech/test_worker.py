from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from offhook.errors import ServerError
from offhook.speech.worker import Worker

pytestmark = pytest.mark.anyio


async def test_work_is_done_in_order_in_one_other_thread() -> None:
    worker, order, threads = Worker("test"), list[int](), set[int]()

    def work(number: int) -> int:
        order.append(number)
        threads.add(threading.get_ident())
        return number

    results = await asyncio.gather(
        *(worker.run(partial(work, number)) for number in range(20))
    )
    assert results == order == list(range(20))
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    await worker.close()


async def test_cancelling_withdraws_what_has_not_begun() -> None:
    worker, gate, done = Worker("test"), threading.Event(), list[str]()
    begun = asyncio.ensure_future(worker.run(gate.wait))
    waiting = asyncio.ensure_future(worker.run(lambda: done.append("cancelled")))
    await asyncio.sleep(0)
    waiting.cancel()
    begun.cancel()
    await asyncio.gather(begun, waiting, return_exceptions=True)
    gate.set()
    await worker.run(lambda: done.append("next"))
    assert done == ["next"]
    await worker.close()


async def test_too_much_work_is_refused() -> None:
    worker, gate = Worker("test", limit=2), threading.Event()
    held = [asyncio.ensure_future(worker.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    assert worker.busy
    with pytest.raises(ServerError) as refused:
        await worker.run(lambda: None)
    assert refused.value.status == 503
    gate.set()
    await asyncio.gather(*held)
    assert not worker.busy
    await worker.run(lambda: None)
    await worker.close()


async def test_an_error_reaches_who_asked() -> None:
    worker = Worker("test")
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    assert await worker.run(lambda: 1) == 1
    await worker.close()


async def test_close_joins_the_thread() -> None:
    worker = Worker("joined")
    await worker.run(lambda: None)
    await worker.close()
    assert not [t for t in threading.enumerate() if "offhook-joined" in t.name]
    worker.post(lambda: None)  # harmless: a call may end after its server
