from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from offhook.media.recorder import without_audio
from offhook.media.sheets import Sheets
from offhook.media.spool import About

if TYPE_CHECKING:
    from pathlib import Path


def stereo(seconds: float, *loud: tuple[int, float, float]) -> np.ndarray[Any, Any]:
    """PCM of two sides, and where which of them is loud."""
    block = np.zeros((round(48000 * seconds), 2), np.int16)
    for side, begin, end in loud:
        block[round(48000 * begin) : round(48000 * end), side] = 8000
    return block


def heard(*blocks: np.ndarray[Any, Any]) -> Sheets:
    sheets = Sheets(About(7.0))
    for block in blocks:
        sheets.hear(block)
    return sheets


def written(folder: Path, sheets: Sheets, *events: Any) -> Any:
    lines = (json.dumps(e) if isinstance(e, dict) else e for e in events)
    (folder / "events.jsonl").write_text("\n".join(lines))
    sheets.read_events(folder / "events.jsonl")
    sheets.write(folder)
    return json.loads((folder / "timeline.json").read_text())


def noted(at_ms: int, kind: str, source: str = "model", **fields: Any) -> Any:
    event = without_audio({"type": kind, **fields})
    return {"at_ms": at_ms, "from": source, "event": event}


def test_waveforms_show_who_was_loud_when(tmp_path: Path) -> None:
    sheets = heard(stereo(1, (0, 0.5, 0.6)), stereo(1), stereo(0.5, (1, 0, 0.5)))
    written(tmp_path, sheets)
    drawn = json.loads((tmp_path / "peaks.json").read_text())
    assert drawn["per_second"] == 50
    assert drawn["caller"] == [0.0] * 25 + [0.24] * 5 + [0.0] * 95
    assert drawn["model"] == [0.0] * 100 + [0.24] * 25
    assert sheets.heard_ms == 2500


def test_of_a_long_call_a_waveform_has_fewer_points(tmp_path: Path) -> None:
    quiet, loud = stereo(1), stereo(1, (0, 0.5, 0.52))
    written(tmp_path, heard(*[quiet] * 350, loud, *[quiet] * 349))
    drawn = json.loads((tmp_path / "peaks.json").read_text())
    assert drawn["per_second"] == 25
    assert len(drawn["caller"]) == 17_500
    assert drawn["caller"].index(0.24) == int(350.5 * 25)
    assert sum(drawn["caller"]) == pytest.approx(0.24)


def test_turns_are_where_they_are_heard(tmp_path: Path) -> None:
    sheets = heard(stereo(4, (0, 0.5, 1.5), (1, 2.2, 3.1)))
    timeline = written(
        tmp_path,
        sheets,
        noted(650, "input_audio_buffer.speech_started", item_id="a"),
        noted(1700, "input_audio_buffer.speech_stopped", item_id="a"),
        noted(
            1800,
            "conversation.item.input_audio_transcription.completed",
            item_id="a",
            transcript="Hello?",
        ),
        noted(2000, "response.created", response={"id": "r"}),
        noted(
            2100,
            "response.output_audio_transcript.delta",
            response_id="r",
            item_id="b",
            delta="Good day.",
        ),
        noted(2150, "output_audio_buffer.started", response_id="r"),
        noted(2300, "response.done", response={"id": "r", "status": "completed"}),
        noted(3300, "output_audio_buffer.stopped", response_id="r"),
    )
    assert timeline["began"] == 7.0
    assert timeline["length_ms"] == 4000
    one, two = timeline["entries"]
    assert (one["begins_ms"], one["ends_ms"], one["text"]) == (500, 1500, "Hello?")
    assert (two["begins_ms"], two["ends_ms"], two["text"]) == (2200, 3100, "Good day.")
    assert timeline["first_audio_ms"] != []
    text = (tmp_path / "transcript.txt").read_text()
    assert text == "[00:00:00] Caller: Hello?\n[00:00:02] Model: Good day.\n"
    assert "00:00:02.200 --> 00:00:03.100" in (tmp_path / "transcript.vtt").read_text()


def test_over_a_websocket_an_answer_is_as_long_as_its_audio_was(tmp_path: Path) -> None:
    sheets = heard(stereo(4))
    timeline = written(
        tmp_path,
        sheets,
        noted(1000, "response.created", response={"id": "r"}),
        noted(
            1100,
            "response.output_audio.delta",
            response_id="r",
            item_id="b",
            delta="A" * 64 * 1500,
        ),
        noted(
            1150,
            "response.output_audio_transcript.done",
            response_id="r",
            item_id="b",
            transcript="Good day.",
        ),
        noted(1200, "response.done", response={"id": "r", "status": "completed"}),
    )
    [entry] = timeline["entries"]
    assert entry["begins_ms"] == 1100
    assert entry["ends_ms"] == 2600


def test_what_the_caller_sent_and_what_is_torn_is_passed_over(tmp_path: Path) -> None:
    timeline = written(
        tmp_path,
        heard(stereo(2)),
        noted(10, "error", "caller", error={"message": "mine"}),
        "[]",
        '{"at_ms": "soon", "from": "model", "event": {}}',
        noted(20, "error", error={"message": "theirs"}),
        '{"at_ms": 30, "fr',
    )
    assert [entry["text"] for entry in timeline["entries"]] == ["theirs"]


def test_a_recording_of_no_length_has_empty_sheets(tmp_path: Path) -> None:
    timeline = written(tmp_path, Sheets(About(0.0)))
    assert timeline["entries"] == []
    assert (tmp_path / "transcript.txt").read_text() == ""
