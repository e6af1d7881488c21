from __future__ import annotations

import pytest

from offhook.archive.records import CallQuery, CallRecord, RecordingRecord, StoredFile
from offhook.errors import InvalidRequest
from offhook.relay.call_views import (
    Asked,
    Sound,
    call_json,
    connection,
    facts,
    figures,
)

CALL = CallRecord("rtc_1", "support", "bridged", 1000.0)
OPUS = StoredFile(5000, "audio/ogg")


def test_an_empty_form_asks_for_all() -> None:
    empty = dict.fromkeys(("text", "agent", "path", "recorded", "since", "sort"), "")
    for given in ({}, empty, {"other": "1"}):
        asked = Asked.of(given)
        assert not asked.filters
        assert asked.query(None, None) == CallQuery()


def test_a_form_makes_a_query() -> None:
    asked = Asked.of(
        {
            "text": "parcel",
            "agent": "support",
            "path": "phone",
            "recorded": "false",
            "since": "2026-11-25",
            "until": "2026-11-25",
            "sort": "longest",
            "zone": "60",
        }
    )
    assert asked.filters
    # The whole day, an hour east of Greenwich.
    since = 1_795_561_200.0
    assert asked.query("x", "7") == CallQuery(
        "parcel",
        "support",
        "phone",
        since,
        since + 86400,
        False,
        sort="longest",
        cursor="x",
        limit=7,
    )
    seconds = Asked.of({"since": "12.5", "until": "13"}).query(None, None)
    assert (seconds.since, seconds.until) == (12.5, 13)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("path", "nowhere"),
        ("recorded", "yes"),
        ("sort", "random"),
        ("since", "yesterday"),
        ("since", "2026-13-01"),
        ("until", "٢٠٢٦"),
        ("until", "9" * 400),
        ("until", "9999-12-31"),
        ("zone", "east"),
        ("zone", "100000"),
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "1" * 5000),
    ],
)
def test_what_means_nothing_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Asked.of({name: value}).query(None, value if name == "limit" else None)
    assert (caught.value.code, caught.value.param) == ("invalid_value", name)


def test_a_recording_leads_to_its_files() -> None:
    names = ("peaks.json", "caller.opus", "call.opus", "other.bin", "events.jsonl")
    files = dict.fromkeys(names, OPUS)
    recording = RecordingRecord("rec_1", "rtc_1", 1000.5, "ready", files=files)
    sound = Sound.of(recording, 0.5, "../")
    assert sound.offset == 0.5
    assert sound.audio == "../recordings/rec_1/call.opus"
    assert sound.peaks == "../recordings/rec_1/peaks.json"
    assert [file.name for file in sound.files] == [
        "call.opus",
        "caller.opus",
        "events.jsonl",
    ]
    assert sound.files[0].size == "5 kB"
    assert not sound.is_coming


def test_a_recording_that_is_made_has_none() -> None:
    sound = Sound.of(RecordingRecord("rec_1", "rtc_1", 9.0, "mastering"), -1, "")
    assert (sound.is_coming, sound.audio, sound.files, sound.offset) == (
        True,
        None,
        (),
        0,
    )
    assert Sound.of(None, 0, "") == Sound()


def test_json_says_all_that_is_known() -> None:
    body = call_json(CALL, None)
    assert body["object"] == "call"
    assert (body["id"], body["seconds"], body["recording"]) == ("rtc_1", None, None)
    recording = RecordingRecord("rec_1", "rtc_1", 1.0, "ready", files={"a": OPUS})
    assert call_json(CALL, recording)["recording"]["files"] == {
        "a": {"bytes": 5000, "media_type": "audio/ogg"}
    }


def test_figures_have_names_and_units() -> None:
    given = {
        "responses": 1234,
        "tokens": {"input_audio": 7},
        "jitter_ms": 11.3456,
        "loss_percent": 0.5,
        "transcribed_seconds": 2.0,
        "first_audio_ms": [1, 2],
        "nothing": None,
        "fine": True,
    }
    assert list(figures(given)) == [
        ("Responses", "1,234"),
        ("Tokens input audio", "7"),
        ("Jitter", "11.3 ms"),
        ("Loss", "0.5 %"),
        ("Transcribed", "2 s"),
        ("First audio", "1, 2 ms"),
        ("Fine", "True"),
    ]


def test_each_side_of_the_network_has_its_column() -> None:
    rows, left = connection(
        {
            "caller_packets_received": 990,
            "caller_packets_lost": 10,
            "caller_jitter_ms": 4.25,
            "model_packets_received": 0,
            "model_packets_lost": 0,
            "model_packets_sent": 40,
            "model_packets_missed": 2,
            "cpu_seconds": 0.5,
            "first_audio_ms": 700,
            "caller_dropped_stranger": 3,
        }
    )
    assert rows == [
        ("Packets from it", ["990", "0"]),
        ("Lost of them", ["10 (1.0 %)", "0"]),
        ("Jitter", ["4.25 ms", ""]),
        ("Packets to it", ["", "40"]),
        ("Lost of these", ["", "2 (5.0 %)"]),
    ]
    assert left == {"cpu_seconds": 0.5, "caller_dropped_stranger": 3}
    assert connection({}) == ([], {})


def test_facts_are_what_is_known() -> None:
    assert dict(facts(CALL)) == {"Id": "rtc_1", "Consent to recording": "not asked"}
    more = CallRecord("r", "a", "phone", 1.0, "gpt", "https://x", 1.5, consent=False)
    assert dict(facts(more)) == {
        "Id": "r",
        "Model": "gpt",
        "Called from": "https://x",
        "Connected after": "0.50 s",
        "Consent to recording": "refused",
    }
