from __future__ import annotations

import json
import os
import resource
import stat
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from offhook.audio import opus
from offhook.errors import InvalidRequest
from offhook.media import spool
from offhook.media.spool import CALLER, MODEL, TRACKS, About, Spool
from offhook.protocol import ogg
from tests.media.clicks import Said, errors_ms, say, tracks
from tests.protocol.sources import TICK_S, network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# `MINUTES=60 pytest tests/media/test_spool.py` takes a minute.
MINUTES = int(os.environ.get("MINUTES", "10"))
TOLD: list[str] = []


def spooled(folder: Path, seconds: float, *sides: Said, **how: Any) -> About:
    """Record what two sides say, in a time that is made up."""
    kept = {"live": False, "failed": TOLD.append, **how}
    made = Spool(folder, 100.0, About(0.0, call={"id": "rtc_1"}), **kept)
    pieces = [list(_pieces(side, seconds)) for side in sides]
    for index, came in enumerate(zip(*pieces, strict=True)):
        lines = [json.dumps({"tick": index})]
        made.write(came, lines, 100 + (index + 1) * TICK_S)
    return made.close(100 + seconds, [])


def _pieces(side: Said, seconds: float) -> Iterator[list[tuple[Any, float]]]:
    coming = iter(side.packets)
    one = next(coming, None)
    for index in range(int(seconds / TICK_S)):
        piece = []
        while one and one.came < (index + 1) * TICK_S:
            piece.append((one.packet, 100 + one.came))
            one = next(coming, None)
        yield piece


def payloads(folder: Path, name: str) -> list[bytes]:
    packets, granule = tracks((folder / name).read_bytes())
    assert sum(map(opus.duration, packets)) == granule
    return packets


@pytest.fixture(autouse=True)
def told() -> Iterator[list[str]]:
    yield TOLD
    TOLD.clear()


def test_every_click_of_a_long_call_is_heard_when_it_was_said(tmp_path: Path) -> None:
    seconds, usual = 60 * MINUTES, network(11)
    third = seconds / 3

    def held_up(at: float) -> float | None:
        """Hold packets up for 3 s, after a third of the call."""
        return third + 3 - at if third < at < third + 3 else usual(at)

    caller = say(
        seconds,
        noise=0.0001,
        dtx=True,
        delay=held_up,
        drift=50e-6,
        stalls=[(2 * third, 3.0)],
        silent=lambda at: 60 < at < 80,
    )
    model = say(
        seconds, click_s=0.743, live=False, delay=network(12), drift=-50e-6, ms=20
    )
    folder = tmp_path / "rec_1"
    about = spooled(folder, seconds, caller, model)
    assert len(caller.clicks) > 0.8 * seconds
    packets = [payloads(folder, name) for name in TRACKS]
    assert len({sum(map(opus.duration, track)) for track in packets}) == 1
    for track, said in zip(packets, (caller, model), strict=True):
        errors = abs(errors_ms(track, said.clicks))
        assert np.isnan(errors).mean() < 0.01  # left out, for the clock
        assert np.nanmax(errors) < 10
    assert about.length_ms == pytest.approx(1000 * seconds, abs=30)
    assert TOLD == []


def test_a_folder_tells_what_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "recordings" / "rec_1"
    about = spooled(folder, 6, say(6), say(6))
    assert about == About.read(folder)
    assert about.state == "complete"
    assert about.call == {"id": "rtc_1"}
    assert about.lost_ms == {}
    lines = (folder / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["tick"] for line in lines] == list(range(20))
    for each in (folder, folder.parent):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == dict.fromkeys((*TRACKS, "events.jsonl", "recording.json"), 0o600)


def test_a_player_plays_the_whole_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "rec_1"
    about = spooled(folder, 6, say(6), say(6, live=False))
    for name in TRACKS:
        with av.open(folder / name) as file:
            samples = sum(frame.samples for frame in file.decode(audio=0))
        assert about.length_ms == round(samples / 48)
        assert 6 * 48000 <= samples < 6.01 * 48000


def test_a_call_in_which_nobody_speaks_is_silence(tmp_path: Path) -> None:
    folder = tmp_path / "rec_1"
    spooled(folder, 3, Said([], []), say(3))
    silent, spoken = (payloads(folder, name) for name in TRACKS)
    assert sum(map(opus.duration, silent)) == sum(map(opus.duration, spoken))
    assert all(packet.endswith(b"\xff\xfe") for packet in silent)


def test_nothing_of_another_recording_is_overwritten(tmp_path: Path) -> None:
    spooled(tmp_path / "rec_1", 1, say(1), say(1))
    with pytest.raises(FileExistsError):
        spooled(tmp_path / "rec_1", 1, say(1), say(1))
    with pytest.raises(InvalidRequest, match="no recording"):
        About.read(tmp_path)


@contextmanager
def full_after(size: int) -> Iterator[None]:
    """Let no file of this process become larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [2**21, 20_000])
def test_what_a_full_disk_cannot_take_waits_and_then_is_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(spool, "_MOST_PENDING", room)
    folder = tmp_path / "rec_1"
    said = say(60)
    made = Spool(folder, 100.0, About(0.0), live=False, failed=TOLD.append)
    pieces = list(zip(_pieces(said, 60), _pieces(say(60), 60), strict=True))
    with full_after(40_000):
        for index, came in enumerate(pieces[:150]):
            made.write(came, [], 100 + (index + 1) * TICK_S)
    whole = [page.ends for page in ogg.Reader().feed((folder / CALLER).read_bytes())]
    assert whole[-1] <= 40_000
    for index, came in enumerate(pieces[150:], 150):
        made.write(came, [], 100 + (index + 1) * TICK_S)
    about = made.close(160, [])
    assert TOLD == [f"rec_1: {os.strerror(27)}"]
    assert about.error == os.strerror(27)
    assert about.state == "complete"
    lost = about.lost_ms
    assert (lost.keys() == set(TRACKS)) if room == 20_000 else lost == {}
    assert len(payloads(folder, MODEL)) > 100
    errors = abs(errors_ms(payloads(folder, CALLER), said.clicks))
    heard = errors[~np.isnan(errors)]
    assert heard.max() < 10
    assert len(heard) == pytest.approx(60 - max(lost.values(), default=0) / 1e3, abs=2)


def test_a_recording_that_stays_incomplete_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "rec_1"
    made = Spool(folder, 100.0, About(0.0), live=False, failed=TOLD.append)
    pieces = list(zip(_pieces(say(30), 30), _pieces(say(30), 30), strict=True))
    with full_after(40_000):
        for index, came in enumerate(pieces):
            made.write(came, ["{}"], 100 + (index + 1) * TICK_S)
        made.close(130, [])
    assert len(TOLD) == 1
    assert About.read(folder).state == "recording"
    pages = chain(ogg.Reader().feed((folder / CALLER).read_bytes()))
    assert sum(len(page.packets) for page in pages) > 100
