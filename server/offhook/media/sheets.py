"""What is to be read of a recording: waveforms, timeline and transcript."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from offhook.audio.levels import spoken
from offhook.errors import InvalidRequest
from offhook.events import parse
from offhook.media.spool import FILE_MODE, milliseconds
from offhook.protocol.journal import Journal
from offhook.protocol.rtp import CLOCK_RATE
from offhook.protocol.transcript import Burst, plain, snapped, webvtt

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from offhook.media.spool import About
    from offhook.protocol.entries import Who

PEAKS, TIMELINE, VTT, TEXT = (
    "peaks.json",
    "timeline.json",
    "transcript.vtt",
    "transcript.txt",
)
_SIDES: tuple[Who, Who] = ("caller", "model")
# How loud it was is kept for every so many samples: 10 ms for what is speech, 20 ms for
# what is drawn; of that no more than so many points.
_LEVEL = CLOCK_RATE // 100
_PEAK = CLOCK_RATE // 50
_MOST_PEAKS = 30_000
_SILENT = 1e-10  # of full scale, as power: -100 dBFS


class Sheets:
    """Hears a recording from its beginning to its end, and writes about it.

    Args:
        about: The recording.

    Attributes:
        names: The files that it writes.
    """

    names = (PEAKS, TIMELINE, VTT, TEXT)

    def __init__(self, about: About) -> None:
        self._about = about
        self._samples = 0
        self._levels: list[NDArray[np.float32]] = []
        self._peaks: list[NDArray[np.float32]] = []
        self._journal = Journal()

    @property
    def heard_ms(self) -> int:
        """How much of it was heard."""
        return milliseconds(self._samples)

    def hear(self, block: NDArray[np.int16]) -> None:
        """Take the next second: PCM at 48 kHz, a column for each side."""
        self._samples += len(block)
        padded = np.pad(block, ((0, -len(block) % _PEAK), (0, 0)))
        scaled = np.abs(padded.astype(np.float32) / 32768)
        self._peaks.append(scaled.reshape(-1, _PEAK, 2).max(axis=1))
        power = np.square(scaled).reshape(-1, _LEVEL, 2).mean(axis=1)
        self._levels.append(10 * np.log10(np.maximum(power, _SILENT)))

    def read_events(self, path: Path) -> None:
        """Take the events with their times."""
        with path.open(encoding="utf-8") as file:
            for line in file:
                try:
                    noted = parse(line)
                except InvalidRequest:
                    continue
                match noted:
                    case {
                        "from": "model" | "server",
                        "at_ms": int(at),
                        "event": dict(event),
                    }:
                        self._journal.take(_with_audio(event), at)
        self._journal.end(self.heard_ms)

    def write(self, folder: Path) -> None:
        """Write all sheets.

        Raises:
            OSError: One cannot be written.
        """
        levels = _joined(self._levels)
        speech: dict[Who, list[Burst]] = {
            side: [Burst(10 * begin, 10 * end) for begin, end in spoken(column)]
            for side, column in zip(_SIDES, levels.T, strict=True)
        }
        entries = snapped(self._journal.entries, speech, self.heard_ms)
        timeline = {
            "began": self._about.began,
            "length_ms": self.heard_ms,
            "entries": [entry.as_json() for entry in entries],
            "first_audio_ms": self._journal.first_audio_ms,
        }
        for name, text in (
            (PEAKS, json.dumps(self._drawn(), separators=(",", ":"))),
            (TIMELINE, json.dumps(timeline, indent=1)),
            (VTT, webvtt(entries)),
            (TEXT, plain(entries)),
        ):
            part = folder / f"{name}.part"
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            with open(os.open(part, flags, FILE_MODE), "w", encoding="utf-8") as file:
                file.write(text)
            part.replace(folder / name)

    def _drawn(self) -> dict[str, Any]:
        peaks, per_second = _joined(self._peaks), 50.0
        while len(peaks) > _MOST_PEAKS:
            peaks = np.pad(peaks, ((0, len(peaks) % 2), (0, 0)))
            peaks, per_second = peaks.reshape(-1, 2, 2).max(axis=1), per_second / 2
        columns = np.round(peaks.astype(np.float64), 2).T.tolist()
        return {
            "per_second": per_second,
            **dict(zip(_SIDES, columns, strict=True)),
        }


def _joined(pieces: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate(pieces) if pieces else np.empty((0, 2), np.float32)


def _with_audio(event: dict[str, Any]) -> dict[str, Any]:
    """Put audio into an event whose audio was left out: as long as it was."""
    length = event.pop("delta_length", None)
    if isinstance(length, int) and 0 < length < 2**24:
        event["delta"] = "A" * length
    return event
