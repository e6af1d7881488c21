from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import pytest

from offhook.audio import opus
from offhook.errors import InvalidRequest
from offhook.media.recovery import recovered
from offhook.media.spool import CALLER, EVENTS, TRACKS, About, Spool
from offhook.protocol import ogg
from tests.media.clicks import tracks
from tests.media.recording import packet

ROOT = Path(__file__).parents[2]
# `KILLS=50 pytest tests/media/test_recovery.py` takes two minutes.
KILLS = int(os.environ.get("KILLS", "3"))


def left(folder: Path, seconds: float) -> None:
    """Leave a recording as a process does that died: nobody holds its files."""
    made = record(folder.with_name("alive"), seconds)
    shutil.copytree(folder.with_name("alive"), folder)
    made.close(seconds, [])


def record(folder: Path, seconds: float) -> Spool:
    """Record both sides for a while."""
    made = Spool(folder, 0.0, About(1.0), live=False, failed=pytest.fail)
    for tick in range(round(seconds / 0.3)):
        numbers = range(tick * 15, tick * 15 + 15)
        said = [(packet(n), n / 50 + 0.02) for n in numbers]
        heard = [(packet(n), n / 50) for n in numbers if tick < 20]
        made.write((said, heard), [json.dumps({"tick": tick})], tick * 0.3 + 0.3)
    return made


def packets(folder: Path) -> list[list[bytes]]:
    """The packets of both tracks, which are equally long and can be played."""
    found = []
    for name in TRACKS:
        data = (folder / name).read_bytes()
        some, granule = tracks(data)
        assert list(ogg.Reader().feed(data))[-1].ends == len(data)
        assert sum(map(opus.duration, some)) == granule
        with av.open(folder / name) as file:
            samples = sum(frame.samples for frame in file.decode(audio=0))
        assert samples == max(0, granule - 312)
        found.append(some)
    assert len({sum(map(opus.duration, some)) for some in found}) == 1
    return found


def known(some: list[bytes]) -> list[bytes]:
    """Those that were given to the recorder."""
    return [payload for payload in some if len(payload) > 60]


def lines(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / EVENTS).read_text().splitlines()]


def killed(folder: Path, seconds: float) -> int:
    """Record in a process, kill it, and return how many packets it had got."""
    command = [sys.executable, "-m", "tests.media.recording", str(folder)]
    path = os.pathsep.join([str(ROOT / "server"), str(ROOT)])
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        return int([first, *process.stdout.read().split()][-1])


def test_a_process_that_is_killed_loses_less_than_a_second(tmp_path: Path) -> None:
    moments = [random.uniform(0.0, 5.0) for _ in range(KILLS)]
    folders = [tmp_path / f"rec_{index}" for index in range(KILLS)]
    with ThreadPoolExecutor(3) as pool:
        counts = list(pool.map(killed, folders, moments))
    for folder, count in zip(folders, counts, strict=True):
        about = recovered(folder)
        assert about is not None
        assert about.state == "recovered"
        given = list(range(count))
        spoken = [number for number in given if number % 100 < 50]
        for track, all_of_it in zip(packets(folder), (given, spoken), strict=True):
            kept = [int.from_bytes(payload[1:9], "big") for payload in known(track)]
            assert kept == all_of_it[: len(kept)]
            # What is missing was said in the last second.
            assert all(number >= count - 50 for number in all_of_it[len(kept) :])
        events = [line["event"]["number"] for line in lines(folder)]
        assert events == list(range(len(events)))
        assert count - len(events) <= 50


@pytest.mark.parametrize("cut", [0, 1, 40, 500, 5000])
def test_a_torn_file_is_made_whole(tmp_path: Path, cut: int) -> None:
    folder = tmp_path / "rec_1"
    left(folder, 9)
    os.truncate(folder / CALLER, (folder / CALLER).stat().st_size - cut)
    with (folder / EVENTS).open("ab") as file:
        file.write(b'{"tick": 3')
    about = recovered(folder)
    assert about == About.read(folder)
    assert about is not None
    assert about.state == "recovered"
    said, heard = packets(folder)
    lost = 430 - len(known(said))
    assert lost == pytest.approx(cut / 70, abs=16)
    assert len(known(heard)) == 300
    assert about.length_ms is not None
    assert [line["tick"] for line in lines(folder)] == list(range(30))


@pytest.mark.parametrize("size", [0, 10, 60, 130])
def test_what_hardly_began_is_a_recording_too(tmp_path: Path, size: int) -> None:
    folder = tmp_path / "rec_1"
    left(folder, 1.2)
    os.truncate(folder / CALLER, size)
    (folder / EVENTS).unlink()
    assert recovered(folder)
    said, heard = packets(folder)
    assert known(said) == []
    assert len(known(heard)) > 30


def test_whatever_is_lost_the_end_can_be_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "rec_1"
    record(folder, 3).close(3.0, [])
    about = About.read(folder)
    whole = [(folder / name).read_bytes() for name in TRACKS]
    # It died between its last page and saying so.
    about.state = "recording"
    about.write(folder)
    again = recovered(folder)
    assert again is not None
    assert again.length_ms == about.length_ms
    assert [(folder / name).read_bytes() for name in TRACKS] == whole


def test_what_is_whole_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "rec_1"
    done = record(folder, 3).close(3.0, [[1, 2]])
    times = [path.stat().st_mtime_ns for path in folder.iterdir()]
    about = recovered(folder)
    assert about is not None
    assert about.state == "complete"
    assert about == done
    assert times == [path.stat().st_mtime_ns for path in folder.iterdir()]


def test_what_somebody_records_into_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "rec_1"
    alive = record(folder, 3)
    before = (folder / CALLER).read_bytes()
    assert recovered(folder) is None
    assert (folder / CALLER).read_bytes() == before
    alive.close(3.0, [])


def test_a_folder_without_a_recording_is_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no recording"):
        recovered(tmp_path)
