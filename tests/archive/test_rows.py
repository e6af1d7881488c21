from __future__ import annotations

from types import SimpleNamespace

from offhook.archive import rows
from offhook.archive.records import CallRecord, RecordingRecord, StoredFile
from offhook.protocol.entries import Entry


def test_a_row_is_read_as_it_was_written() -> None:
    call = CallRecord("rtc_1", "support", "phone", 100.0, ended=160.0, consent=False)
    row = rows.of_call(call, "node_1")
    assert (row["seconds"], row["node"]) == (60.0, None)
    assert rows.call(SimpleNamespace(**row, recording=None)) == call

    entry = Entry("turn", "model", 0, 100, "Hello.", {"item_id": "i"})
    assert rows.entry(SimpleNamespace(**rows.of_entry(entry, 7))) == entry

    files = {"call.opus": StoredFile(7, "audio/ogg")}
    recording = RecordingRecord("rec_1", "rtc_1", 100.0, "ready", files=files)
    row = rows.of_recording(recording, "node_1")
    assert row["node"] is None
    assert rows.recording(SimpleNamespace(**row)) == recording


def test_what_goes_on_is_its_nodes() -> None:
    call = CallRecord("rtc_1", "support", "phone", 100.0)
    assert rows.of_call(call, "node_1")["node"] == "node_1"
    for state, node in (("recording", "n"), ("mastering", "n"), ("failed", None)):
        recording = RecordingRecord("rec_1", "rtc_1", 100.0, state)  # type: ignore[arg-type]  # any text
        assert rows.of_recording(recording, "n")["node"] == node
