from __future__ import annotations

import re

from offhook.archive.records import (
    CallRecord,
    RecordingRecord,
    StoredFile,
    recording_id,
)


def test_a_recording_has_an_id_that_nobody_can_guess() -> None:
    ids = {recording_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(re.fullmatch("rec_[0-9a-f]{32}", each) for each in ids)


def test_a_call_that_lasts_has_no_length_yet() -> None:
    assert CallRecord("rtc_1", "default", "direct", 100.0).seconds is None
    assert CallRecord("rtc_1", "default", "direct", 100.0, ended=103.5).seconds == 3.5
    # The clock was set back.
    assert CallRecord("rtc_1", "default", "direct", 100.0, ended=99.0).seconds == 0.0


def test_a_recording_is_as_big_as_its_files() -> None:
    files = {
        "call.opus": StoredFile(5000, "audio/ogg"),
        "transcript.txt": StoredFile(12, "text/plain"),
    }

    assert RecordingRecord("rec_1", "rtc_1", 100.0, files=files).bytes == 5012
    assert RecordingRecord("rec_1", "rtc_1", 100.0).bytes == 0
