from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from offhook.audio import silence
from offhook.speech.listener import CALL_RATE, Detectors, Listener
from offhook.speech.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import numpy as np
    from numpy.typing import NDArray

pytestmark = pytest.mark.anyio


class Counting:
    """A detector whose answers number the frames since its reset."""

    name = "counting"

    def __init__(self) -> None:
        self.frames = 0
        self.gate = threading.Event()
        self.gate.set()

    def probability(self, frame: NDArray[np.float32]) -> float:
        assert self.gate.wait(10)
        assert len(frame) == 512
        self.frames += 1
        return float(self.frames)

    def reset(self) -> None:
        self.frames = 0


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker("test")
    yield worker
    await worker.close()


@pytest.mark.parametrize("size", [2, 480, 960, 48000])
async def test_the_clock_is_exact_whatever_the_chunks(
    worker: Worker, size: int
) -> None:
    listener = Listener(worker, Detectors(Counting))
    pcm = silence(2000 if size > 2 else 100, CALL_RATE)
    found = [
        activity
        for at in range(0, len(pcm), size)
        for activity in await listener.feed(pcm[at : at + size])
    ]
    assert [a.at_ms for a in found] == [32 * n for n in range(1, len(found) + 1)]
    assert [a.probability for a in found] == list(range(1, len(found) + 1))
    # What is missing is the unfinished frame, and 1.2 ms in the resampler.
    assert 0 <= len(pcm) / 48 - 32 * len(found) < 32 + 5


async def test_cancelling_a_feed_loses_nothing(worker: Worker) -> None:
    detector = Counting()
    detector.gate.clear()
    listener = Listener(worker, Detectors(lambda: detector))
    feeds = [
        asyncio.ensure_future(listener.feed(silence(320, CALL_RATE))) for _ in range(2)
    ]
    await asyncio.sleep(0)
    for feed in feeds:
        feed.cancel()
    await asyncio.gather(*feeds, return_exceptions=True)
    detector.gate.set()
    found = await listener.feed(silence(320, CALL_RATE))
    assert [a.at_ms for a in found] == [32 * n for n in range(1, 30)]


async def test_the_next_call_gets_a_detector_that_has_forgotten(
    worker: Worker,
) -> None:
    loaded: list[Counting] = []

    def load() -> Counting:
        loaded.append(Counting())
        return loaded[-1]

    detectors = Detectors(load)
    for _ in range(2):
        listener = Listener(worker, detectors)
        found = await listener.feed(silence(120, CALL_RATE))
        assert [a.probability for a in found] == [1, 2, 3]
        listener.close()
    both = [Listener(worker, detectors) for _ in range(2)]
    for listener in both:
        await listener.feed(silence(120, CALL_RATE))
    assert len(loaded) == 2


async def test_close_of_one_that_has_heard_nothing(worker: Worker) -> None:
    Listener(worker, Detectors(Counting)).close()
    assert await worker.run(lambda: "alive") == "alive"
