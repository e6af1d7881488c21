from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from offhook.audio import from_float, silence, to_float
from offhook.protocol.turns import SpeechStarted, TurnDetector
from offhook.speech.listener import CALL_RATE, Detectors, Listener
from offhook.speech.worker import Worker
from tests.speech.sounds import SOUNDS, at_level, pink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from numpy.typing import NDArray

    from offhook.speech import Engines

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


async def test_while_others_wait_two_frames_are_heard_at_once(worker: Worker) -> None:
    listener = Listener(worker, Detectors(Counting))
    frame = silence(40, CALL_RATE)
    assert len(await listener.feed(frame)) == 1
    gate = threading.Event()
    other = asyncio.ensure_future(worker.run(gate.wait))
    await asyncio.sleep(0)
    assert await listener.feed(frame) == []
    gate.set()
    await other
    assert len(await listener.feed(frame)) == 2


async def test_close_of_one_that_has_heard_nothing(worker: Worker) -> None:
    Listener(worker, Detectors(Counting)).close()
    assert await worker.run(lambda: "alive") == "alive"


async def starts(engines: Engines, call: bytes) -> list[int]:
    """Where turns begin, by the default settings."""
    detector = TurnDetector(threshold=0.5, silence_ms=500)
    listener = engines.listener()
    found = await listener.feed(call)
    listener.close()
    turns = [detector.hear(one.at_ms, one.probability) for one in found]
    return [turn.at_ms for turn in turns if isinstance(turn, SpeechStarted)]


@pytest.mark.parametrize("dbfs", [-15, -25, -35, -45])
@pytest.mark.parametrize("sound", SOUNDS)
async def test_what_is_not_speech_begins_no_turn(
    engines: Engines, sound: str, dbfs: int
) -> None:
    pause = silence(500, CALL_RATE)
    pcm = from_float(at_level(SOUNDS[sound](), dbfs))
    assert await starts(engines, pause + pcm + pause) == []


async def test_speech_in_noise_begins_a_turn(
    engines: Engines, speak: Callable[[str], Awaitable[bytes]]
) -> None:
    pause = silence(1000, CALL_RATE)
    call = to_float(pause + await speak("What time is it?") + pause)
    noise = pink(len(call) / CALL_RATE + 1)[: len(call)]
    loudness = 20 * np.log10(np.sqrt(np.mean(call[CALL_RATE:-CALL_RATE] ** 2)))
    [start_ms] = await starts(
        engines, from_float(call + at_level(noise, loudness - 10))
    )
    assert 1000 <= start_ms < 1200
