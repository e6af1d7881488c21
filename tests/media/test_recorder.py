from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from offhook.audio import opus
from offhook.errors import ServerError
from offhook.media import disk as disks
from offhook.media.disk import Disk
from offhook.media.leg import Leg, couple
from offhook.media.recorder import Recorder, without_audio
from offhook.media.recovery import recovered
from offhook.media.sounds import Sound
from offhook.media.spool import About
from tests.media.clicks import tracks
from tests.media.legs import far_end
from tests.media.opus import encoded, tone
from tests.media.recording import packet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

SPEECH, ANSWER = encoded(tone(440, 1)), encoded(tone(700, 1))


@pytest.fixture
async def disk() -> AsyncIterator[Disk]:
    async with Disk() as running:
        yield running


def heard(folder: Path, name: str) -> list[bytes]:
    """All packets but silence and what is made up."""
    packets, _ = tracks((folder / name).read_bytes())
    return [p for p in packets if len(p) > 1 and not p.endswith(b"\xff\xfe")]


def length(folder: Path, name: str) -> int:
    return sum(map(opus.duration, tracks((folder / name).read_bytes())[0]))


async def test_both_sides_of_a_call_are_recorded_from_one_leg(
    tmp_path: Path, disk: Disk
) -> None:
    folder = tmp_path / "rec_1"
    sound = Sound(tone(1200, 0.2, 0.1))
    async with AsyncExitStack() as stack:
        caller, near = await stack.enter_async_context(far_end())
        model, other = await stack.enter_async_context(far_end())
        one = await stack.enter_async_context(Leg(near))
        two = await stack.enter_async_context(Leg(other))
        couple(one, two)
        recorder = Recorder(folder, disk, call={"id": "rtc_1"})
        await stack.enter_async_context(recorder)
        recorder.attach(one)
        await asyncio.gather(caller.say_all(SPEECH), model.say_all(ANSWER))
        await model.until(lambda: len(model.heard) == 50)
        await one.play(sound).ended()
        await caller.until(lambda: len(caller.heard) == 60)
    # The first was said, in part, before the recording began.
    assert heard(folder, "caller.opus") == SPEECH[1:]
    assert heard(folder, "model.opus") == caller.payloads
    assert length(folder, "caller.opus") == length(folder, "model.opus")
    assert recorder.about == About.read(folder)
    assert About.read(folder).began == recorder.began


async def test_after_it_the_leg_is_recorded_no_more(tmp_path: Path, disk: Disk) -> None:
    folder = tmp_path / "rec_1"
    async with far_end() as (caller, near), Leg(near) as leg:
        came = asyncio.Semaphore(0)
        leg.tap_said(lambda *_: came.release())
        async with Recorder(folder, disk) as recorder:
            recorder.attach(leg)
            recorder.attach(leg)  # again, as after a new offer: not twice
            await caller.say_all(SPEECH[:20])
            for _ in range(20):
                await came.acquire()
        caller.say(SPEECH[20])
    assert heard(folder, "caller.opus") == SPEECH[1:20]


async def test_what_is_paused_is_silence_and_time_goes_on(
    tmp_path: Path, disk: Disk
) -> None:
    folder = tmp_path / "rec_1"
    async with Recorder(folder, disk) as recorder:
        now = recorder_now = time.monotonic() + 0.1
        for number in range(30):
            if number == 10:
                recorder.pause()
                recorder.pause()
            if number == 20:
                recorder.resume()
                recorder.resume()
            now = recorder_now + number / 50
            recorder.said(packet(number), now)
            recorder.heard(packet(number), now)
            recorder.note("caller", {"type": "test", "number": number})
    for name in ("caller.opus", "model.opus"):
        kept, _ = tracks((folder / name).read_bytes())
        numbers = [p[1:9] for p in kept if len(p) > 60]
        wanted = [*range(10), *range(20, 30)]
        assert numbers == [n.to_bytes(8, "big") for n in wanted]
        first, second = (kept.index(packet(n).payload) for n in (9, 20))
        assert sum(map(opus.duration, kept[first + 1 : second])) == 10 * 960
    lines = (folder / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"]["number"] for line in lines] == wanted
    about = About.read(folder)
    assert len(about.pauses) == 1


async def test_events_are_kept_with_their_times_and_without_audio(
    tmp_path: Path, disk: Disk
) -> None:
    folder = tmp_path / "rec_1"
    async with Recorder(folder, disk) as recorder:
        recorder.note("caller", {"type": "input_audio_buffer.append", "audio": "AAAA"})
        recorder.note("model", {"type": "session.created"})
    one, two = map(json.loads, (folder / "events.jsonl").read_text().splitlines())
    assert one["event"] == {"type": "input_audio_buffer.append"}
    assert (one["from"], two["from"]) == ("caller", "model")
    assert 0 <= one["at_ms"] <= two["at_ms"] < 5000


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        (
            {"type": "response.output_audio.delta", "delta": "AA==", "item_id": "i"},
            {
                "type": "response.output_audio.delta",
                "item_id": "i",
                "delta_length": 4,
            },
        ),
        (
            {"type": "response.output_audio_transcript.delta", "delta": "Hi"},
            {"type": "response.output_audio_transcript.delta", "delta": "Hi"},
        ),
        (
            {"item": {"content": [{"type": "input_audio", "audio": "AA=="}]}},
            {"item": {"content": [{"type": "input_audio"}]}},
        ),
        (
            {"session": {"audio": {"output": {"voice": "marin"}}}},
            {"session": {"audio": {"output": {"voice": "marin"}}}},
        ),
    ],
)
def test_audio_is_left_out_of_events(event: Any, kept: Any) -> None:
    assert without_audio(event) == kept


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "rec_1").mkdir()
    with pytest.raises(ServerError, match="cannot begin: File exists"):
        async with Recorder(tmp_path / "rec_1", disk):
            pytest.fail("it began")


async def test_a_disk_that_is_too_slow_leaves_a_gap_and_is_told_once(
    tmp_path: Path,
) -> None:
    folder, told = tmp_path / "rec_1", list[str]()
    held = threading.Event()
    numbers = iter(range(10_000))

    async def talk(recorder: Recorder, until: Any) -> None:
        began = time.monotonic()
        async with asyncio.timeout(10):
            while not until():
                number = next(numbers)
                recorder.said(packet(number), time.monotonic())
                await asyncio.sleep(began + (number + 1) / 50 - time.monotonic())

    async with Disk(most_bytes=100) as disk:
        async with Recorder(folder, disk, failed=told.append) as recorder:
            assert recorder.about is None
            await talk(recorder, lambda: (folder / "caller.opus").stat().st_size > 500)
            disk.post(held.wait, 1000)
            await talk(recorder, lambda: told)
            # It goes on as if nothing was.
            recorder.heard(packet(1), time.monotonic())
            held.set()
    assert len(told) == 1
    assert "too slow" in told[0]
    assert length(folder, "caller.opus") == length(folder, "model.opus")
    about = About.read(folder)
    assert about.length_ms == pytest.approx(length(folder, "caller.opus") / 48, abs=8)


async def test_a_disk_that_hangs_does_not_keep_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, held = list[str](), threading.Event()
    async with Disk() as disk:
        async with Recorder(tmp_path / "rec_1", disk, failed=told.append) as recorder:
            monkeypatch.setattr(disks, "_CLOSE_SECONDS", 0.05)
            disk.post(held.wait, 1)
        held.set()
    assert recorder.about is None
    assert "hangs" in told[0]


async def test_cancelled_it_is_written_to_its_end_all_the_same(tmp_path: Path) -> None:
    folder, held, begun = tmp_path / "rec_1", threading.Event(), asyncio.Event()

    async def record(disk: Disk) -> None:
        async with Recorder(folder, disk) as recorder:
            recorder.heard(packet(1), time.monotonic())
            disk.post(held.wait, 1)
            begun.set()

    async with Disk() as disk:
        task = asyncio.create_task(record(disk))
        await begun.wait()
        await asyncio.sleep(0)  # it waits for the disk
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.set()
    assert heard(folder, "model.opus") == [packet(1).payload]
    assert About.read(folder).state == "complete"


async def test_cancelled_before_it_begins_it_holds_no_file(tmp_path: Path) -> None:
    folder, held = tmp_path / "rec_1", threading.Event()
    async with Disk() as disk:
        disk.post(held.wait, 1)
        task = asyncio.create_task(Recorder(folder, disk).__aenter__())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.set()
    about = recovered(folder)  # which nobody records into
    assert about is not None
    assert about.state == "recovered"


async def test_many_recordings_share_a_disk(tmp_path: Path, disk: Disk) -> None:
    async with AsyncExitStack() as stack:
        recorders = [
            await stack.enter_async_context(Recorder(tmp_path / f"rec_{n}", disk))
            for n in range(20)
        ]
        begins = time.monotonic() + 0.05
        for number in range(20):
            for recorder in recorders:
                recorder.heard(packet(number), begins + number / 50)
    for n in range(20):
        assert len(heard(tmp_path / f"rec_{n}", "model.opus")) >= 20
