"""Reads the folders of recordings."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from offhook.audio import resample
from offhook.protocol.ogg import Reader

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 24000
_LOUD = 0.02  # of full scale
# Where a relay of a test has what it records, and what is finished.
SPOOL, KEPT = Path("offhook-data/spool"), Path("offhook-data/recordings")


def spooled() -> list[Path]:
    """The recordings that are being made."""
    return sorted(SPOOL.iterdir()) if SPOOL.is_dir() else []


async def kept() -> Path:
    """Wait until one recording is finished and nothing else is left of it."""
    async with asyncio.timeout(20):
        while spooled() or not _finished():  # noqa: ASYNC110  # a folder tells nobody
            await asyncio.sleep(0.05)
    [folder] = _finished()
    return folder


def _finished() -> list[Path]:
    return sorted(KEPT.glob("rec_*"))


def track(folder: Path, name: str) -> bytes:
    """What one side's track sounds like, as 24 kHz PCM."""
    with av.open(str(folder / f"{name}.opus")) as file:
        pieces = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
    pcm = (np.concatenate(pieces).clip(-1, 1) * 32767).astype("<i2").tobytes()
    return resample(pcm, 48000, RATE)


def loud(pcm: bytes) -> NDArray[np.float64]:
    """When something is to be heard, in seconds."""
    samples = np.abs(np.frombuffer(pcm, "<i2").astype(float))
    return np.flatnonzero(samples > _LOUD * 32767) / RATE


def about(folder: Path) -> dict[str, Any]:
    """What is known of a recording, which nobody else may read."""
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in folder.iterdir())
    value: dict[str, Any] = json.loads((folder / "recording.json").read_text("utf-8"))
    return value


def events(folder: Path) -> list[dict[str, Any]]:
    """What was noted."""
    lines = (folder / "events.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


async def longer(folder: Path, seconds: float) -> None:
    """Wait until the tracks on the disk are so much longer than now."""
    file = folder / "model.opus"
    wanted = _granule(file) + seconds * 48000
    async with asyncio.timeout(20 + seconds):
        while _granule(file) < wanted:  # noqa: ASYNC110  # a file tells nobody
            await asyncio.sleep(0.05)


def _granule(file: Path) -> int:
    return max((page.granule for page in Reader().feed(file.read_bytes())), default=0)
