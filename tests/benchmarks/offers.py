"""How long malformed offers hold up everybody else."""

from __future__ import annotations

import asyncio
import gc
import logging
import time

from offhook.errors import InvalidRequest
from offhook.media.peer import Peer
from offhook.protocol.sdp import check_offer
from tests.media.calls import Ear, nothing
from tests.protocol.offers import mutant

_OFFERS = 2_000


class Pulse:
    """Measures for how long the event loop is busy without a break, in CPU seconds.

    So what other processes take of the machine does not count; and the garbage is
    collected in between, as its time depends on all else that a process has.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.thread_time()
        self._next: asyncio.Handle | None = None

    def start(self) -> None:
        self._last = time.thread_time()
        self._next = asyncio.get_running_loop().call_soon(self._beat)

    def stop(self) -> None:
        if self._next:
            self._next.cancel()

    def _beat(self) -> None:
        self.longest = max(self.longest, time.thread_time() - self._last)
        self.start()


async def measure(count: int = _OFFERS) -> None:
    """Let a peer answer mutants of browsers' offers, or refuse them."""
    logging.disable(logging.INFO)
    accidents = list[object]()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: accidents.append(context))
    await _answer(mutant(0))  # what is loaded once
    gc.disable()
    pulse, answered = Pulse(), 0
    began = time.process_time()
    for seed in range(count):
        offer = mutant(seed)
        pulse.start()
        answered += await _answer(offer)
        pulse.stop()
        if seed % 100 == 0:
            gc.collect()
    spent = time.process_time() - began
    gc.enable()
    loop.set_exception_handler(None)
    logging.disable(logging.NOTSET)
    print(  # noqa: T201
        f"{count} malformed offers: {answered} could be answered, the others got 400; "
        f"{len(accidents)} accidents; the event loop was held up for at most "
        f"{pulse.longest * 1000:.0f} ms, and each took {spent / count * 1000:.1f} ms"
    )


async def _answer(offer: bytes) -> bool:
    try:
        text = check_offer(offer)
        async with Peer(Ear(), nothing) as peer:
            await peer.answer(text)
    except InvalidRequest:
        return False
    return True
