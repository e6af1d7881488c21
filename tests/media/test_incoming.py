from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiortc.contrib.media import MediaBlackhole
from aiortc.mediastreams import MediaStreamError

from offhook.media.incoming import Hearing, Incoming
from tests.media.test_tracks import recorded, tone

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack
    from av import AudioFrame

pytestmark = pytest.mark.anyio


def frame(pts: int | None = None) -> AudioFrame:
    made = recorded(tone(440, 0.02, 48000), 48000, "mono")
    made.pts = pts
    return made


async def turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_time_goes_on_from_call_to_call() -> None:
    track = Incoming()
    for begins in (5000, 70):
        track.begin()
        for number in (0, 1, 3):
            track.put(frame(begins + number * 960))
    times = [(await track.recv()).pts for _ in range(6)]
    assert times == [0, 960, 2880, 3840, 4800, 6720]
    track.put(frame())
    assert (await track.recv()).pts is None


async def test_of_what_nobody_reads_the_oldest_is_dropped() -> None:
    track = Incoming()
    for number in range(60):
        track.put(frame(number * 960))
    assert [(await track.recv()).pts for _ in range(50)] == [
        number * 960 for number in range(10, 60)
    ]


async def test_a_stopped_track_ends_after_what_it_had() -> None:
    track = Incoming()
    track.put(frame(0))
    await track.recv()
    waiting = asyncio.create_task(track.recv())
    await asyncio.sleep(0)
    track.stop()
    with pytest.raises(MediaStreamError):
        await waiting


class Notes:
    """A recorder that notes what is done with it."""

    def __init__(self) -> None:
        self.tracks: list[MediaStreamTrack] = []
        self.starts = 0

    def addTrack(self, track: MediaStreamTrack) -> None:
        self.tracks.append(track)

    async def start(self) -> None:
        self.starts += 1


async def test_a_recorder_gets_one_track_for_all_calls() -> None:
    notes = Notes()
    hearing = Hearing(notes)
    for begins in (0, 700):
        async with hearing.call() as put:
            assert put
            put(frame(begins))
    [track] = notes.tracks
    assert notes.starts == 1
    assert track.readyState == "live"
    assert [(await track.recv()).pts for _ in range(2)] == [0, 960]


async def test_recorders_of_aiortc_are_such() -> None:
    hole = MediaBlackhole()
    async with Hearing(hole).call() as put:
        assert put
        for number in range(3):
            put(frame(number * 960))
        await turns()
    await hole.stop()


async def test_functions_get_pcm_and_one_may_be_slow() -> None:
    quick, slow, free = list[bytes](), list[bytes](), asyncio.Event()

    async def waits(pcm: bytes) -> None:
        await free.wait()
        slow.append(pcm)

    async with Hearing(quick.append, waits).call() as put:
        assert put
        for number in range(200):
            put(frame(number * 960))
            await turns()
        assert len(quick) == 200
        free.set()
        await turns()
        assert len(slow) == 51  # the one that was under way, and the last second
    assert sum(map(len, quick)) == pytest.approx(200 * 960, abs=3000)


async def test_a_function_that_fails_is_told_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[bytes] = []

    def broken(pcm: bytes) -> None:
        raise OSError("the disk is full")

    async with Hearing(broken, heard.append).call() as put:
        assert put
        for number in range(3):
            put(frame(number * 960))
            await turns()
    assert len(heard) == 3
    assert caplog.text.count("the audio sink failed") == 1


async def test_where_nobody_hears_nothing_needs_to_be_decoded() -> None:
    async with Hearing().call() as put:
        assert put is None
