from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import numpy as np
import pytest

from offhook.media.spool import TRACKS
from offhook.media.stereo import Stereo, master_name
from offhook.protocol import ogg
from tests.media.opus import encoded, loudness, tone

if TYPE_CHECKING:
    from pathlib import Path


def record(folder: Path, *sides: bytes) -> None:
    for name, pcm in zip(TRACKS, sides, strict=True):
        writer = ogg.Writer(1)
        pages = writer.heads() + writer.pages(encoded(pcm), last=True)
        (folder / name).write_bytes(pages)


def test_the_caller_is_on_the_left_and_the_model_on_the_right(tmp_path: Path) -> None:
    record(tmp_path, tone(440, 2.5), tone(1200, 2.5))
    with Stereo(tmp_path, ["wav"]) as stereo:
        blocks = list(stereo.blocks())
    assert [len(block) for block in blocks] == [48000, 48000, 24000 - ogg.PRE_SKIP]
    heard = np.concatenate(blocks)[::2].T.astype(np.int16)
    for side, own, other in ((heard[0], 440, 1200), (heard[1], 1200, 440)):
        assert loudness(side, own) > 0.2
        assert loudness(side, other) < 0.01
    wav = np.frombuffer((tmp_path / "call.wav").read_bytes()[-4 * 48000 :], "<i2")
    assert np.array_equal(wav.reshape(-1, 2), np.concatenate(blocks)[-48000:])
    assert stat.S_IMODE((tmp_path / "call.wav").stat().st_mode) == 0o600


def test_what_fails_leaves_no_file_that_looks_whole(tmp_path: Path) -> None:
    record(tmp_path, tone(440, 2.5), tone(1200, 2.5))
    with pytest.raises(ZeroDivisionError), Stereo(tmp_path, ["opus", "wav"]) as stereo:
        next(stereo.blocks())
        1 // 0  # noqa: B018
    made = {path.name for path in tmp_path.iterdir()} - set(TRACKS)
    assert made == {"call.opus.part", "call.wav.part"}
    assert master_name("opus") == "call.opus"


def test_a_page_that_was_changed_is_silence(tmp_path: Path) -> None:
    record(tmp_path, tone(440, 2), tone(1200, 2))
    writer, said = ogg.Writer(1), encoded(tone(440, 2))
    pages = [writer.heads(), *(writer.pages(said[n : n + 25]) for n in (0, 25, 50, 75))]
    pages[2] = pages[2][:100] + b"x" + pages[2][101:]
    (tmp_path / TRACKS[0]).write_bytes(b"".join(pages[:4]))  # the last is lost
    with Stereo(tmp_path, []) as stereo:
        heard = np.concatenate(list(stereo.blocks()))[:, 0]
    assert len(heard) == 96000 - ogg.PRE_SKIP
    loud = [bool(abs(heard[at : at + 4800]).max() > 1000) for at in (0, 30000, 50000)]
    assert loud == [True, False, True]
    assert not heard[73000:].any()


def test_a_packet_that_is_malformed_lasts_no_time(tmp_path: Path) -> None:
    record(tmp_path, tone(440, 1), tone(1200, 1))
    writer = ogg.Writer(1)
    said = encoded(tone(440, 1))
    said[10:11] = [b"\xff\x3f", said[10][:1] + bytes(200)]
    pages = writer.heads() + writer.pages(said, last=True)
    (tmp_path / TRACKS[0]).write_bytes(pages)
    with Stereo(tmp_path, []) as stereo:
        blocks = list(stereo.blocks())
    assert sum(map(len, blocks)) == 48000 - ogg.PRE_SKIP
