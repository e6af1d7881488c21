from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from offhook.protocol.playback import AudioPart
from offhook.protocol.twilio import (
    Heard,
    Ignored,
    MediaStream,
    Played,
    Pressed,
    Received,
    Started,
    Stopped,
)

FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
FRAME = bytes(range(160))
A = AudioPart("resp_1", "item_a", 0)
B = AudioPart("resp_2", "item:b", 1)


def started(format_: Any = FORMAT, inactivity_ms: float | None = 750) -> MediaStream:
    stream = MediaStream(inactivity_ms=inactivity_ms)
    take(stream, "connected", protocol="Call", version="1.0.0")
    parameters = {"FirstName": "Jane"}
    take(
        stream,
        "start",
        sequenceNumber="1",
        start={
            "streamSid": "MZ1",
            "callSid": "CA1",
            "tracks": ["inbound"],
            "customParameters": parameters,
            "mediaFormat": format_,
        },
    )
    return stream


def take(stream: MediaStream, event: Any, now_ms: float = 0, **fields: Any) -> Any:
    """Take a frame, and return what it does besides being received."""
    frame = {"event": event, **fields}
    received, *effects = stream.take(json.dumps(frame), now_ms)
    assert received == Received(frame)
    return effects[0] if effects else None


def hear(
    stream: MediaStream, at_ms: Any, now_ms: float = 0, audio: bytes = FRAME
) -> bytes:
    payload = base64.b64encode(audio).decode()
    media = {"track": "inbound", "chunk": "1", "timestamp": at_ms, "payload": payload}
    heard = take(stream, "media", now_ms, streamSid="MZ1", media=media)
    assert isinstance(heard, Heard)
    return heard.audio


def mark(stream: MediaStream, name: Any) -> Any:
    return take(stream, "mark", streamSid="MZ1", mark={"name": name})


def say(stream: MediaStream, part: AudioPart, audio: bytes) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in stream.mouth.say(part, audio)]


def names(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["mark"]["name"] for frame in frames if frame["event"] == "mark"]


def test_a_stream_starts() -> None:
    stream = MediaStream()
    start = {
        "streamSid": "MZ1",
        "callSid": "CA1",
        "customParameters": {"From": "+15550100", "n": 7},
    }
    begun = take(stream, "start", start=start)
    assert begun == Started("MZ1", "CA1", {"From": "+15550100", "n": "7"})
    assert "+15550100" not in repr(begun)
    assert take(stream, "connected") is None


def test_a_mark_of_endless_digits_is_malformed() -> None:
    assert isinstance(mark(started(), f"a:0:8:g{'9' * 5000}"), Ignored)


def test_keys_and_the_end() -> None:
    stream = started()
    dtmf = {"track": "inbound_track", "digit": "#"}
    assert take(stream, "dtmf", streamSid="MZ1", dtmf=dtmf) == Pressed("#")
    assert take(stream, "stop", stop={"callSid": "CA1"}) == Stopped()
    assert stream.mouth.say(A, FRAME) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no JSON", "JSON"),
        ("[]", "object"),
        ('{"no": "event"}', "not known"),
        ('{"event": ["start"]}', "not known"),
        ('{"event": "video"}', "not known"),
        ('{"event": "start"}', "KeyError"),
        ('{"event": "start", "start": {"streamSid": 7}}', "no text"),
        (
            '{"event": "start", "start": {"streamSid": "M", "customParameters": [1]}}',
            "",
        ),
        ('{"event": "media", "media": 7}', "fault"),
        ('{"event": "media", "media": {"payload": "%"}}', "base64"),
        ('{"event": "media", "media": {"payload": null}}', "fault"),
        ('{"event": "media", "media": {"track": "outbound"}}', "not the caller's"),
        ('{"event": "mark", "mark": "x"}', "fault"),
        ('{"event": "mark", "mark": {"name": 7}}', "none of ours"),
        ('{"event": "mark", "mark": {"name": "x"}}', "none of ours"),
        ('{"event": "mark", "mark": {"name": "a:0:8:g9"}}', "cleared"),
        ('{"event": "dtmf", "dtmf": {}}', "fault"),
    ],
    ids=str,
)
def test_what_is_malformed_changes_nothing(text: str, reason: str) -> None:
    stream = started()
    ignored = stream.take(text, 0)[-1]
    assert isinstance(ignored, Ignored)
    assert reason in ignored.reason
    [name] = names(say(stream, A, FRAME))
    assert mark(stream, name) == Played("item_a", 0, 20)


def test_audio_comes_as_it_is() -> None:
    stream = started()
    assert [hear(stream, str(ms)) for ms in (0, 20, 40)] == [FRAME] * 3


@pytest.mark.parametrize(
    ("at_ms", "missing_ms"),
    [("20", 0), ("21", 1), ("200", 180), ("10020", 10_000), ("99999", 10_000)],
)
def test_a_gap_is_filled_with_silence(at_ms: str, missing_ms: int) -> None:
    stream = started()
    hear(stream, "0")
    assert hear(stream, at_ms) == b"\xff" * (missing_ms * 8) + FRAME
    assert hear(stream, str(int(at_ms) + 20)) == FRAME


@pytest.mark.parametrize("odd", ["10", None, 60, "", "-1", "1.5", "٣", "9" * 16, "1e3"])
def test_a_timestamp_that_is_none_begins_anew(odd: Any) -> None:
    stream = started()
    hear(stream, "20")
    assert hear(stream, odd) == FRAME
    assert hear(stream, "500") == FRAME
    assert hear(stream, "530") == b"\xff" * 80 + FRAME


@pytest.mark.parametrize(
    "format_",
    [
        None,
        {},
        FORMAT | {"encoding": "audio/l16"},
        FORMAT | {"sampleRate": 16000},
        FORMAT | {"channels": 2},
    ],
    ids=str,
)
def test_other_audio_is_not_padded(format_: Any) -> None:
    stream = started(format_)
    hear(stream, "0")
    assert hear(stream, "500") == FRAME
    stream.ear.speech(True)
    assert stream.ear.deadline is None


def test_a_caller_who_falls_silent_is_helped_to_end() -> None:
    stream = started()
    hear(stream, "0", now_ms=100)
    assert stream.ear.deadline is None
    stream.ear.speech(True)
    assert stream.ear.deadline == 850
    hear(stream, "20", now_ms=120)
    assert stream.ear.deadline == 870
    assert stream.ear.tick(869) == b""
    assert stream.ear.tick(870) == b"\xff" * 8000
    # Once; and what was left out is not put in a second time.
    assert stream.ear.deadline is None
    assert stream.ear.tick(9999) == b""
    assert hear(stream, "2000", now_ms=2100) == FRAME
    assert stream.ear.deadline == 2850
    assert hear(stream, "2040", now_ms=2140) == b"\xff" * 160 + FRAME
    stream.ear.speech(False)
    assert stream.ear.deadline is None


def test_nobody_is_helped_where_that_is_not_wanted() -> None:
    stream = started(inactivity_ms=None)
    hear(stream, "0")
    stream.ear.speech(True)
    assert stream.ear.deadline is None


def test_a_new_stream_begins_anew() -> None:
    stream = started()
    hear(stream, "0")
    stream.ear.speech(True)
    take(stream, "start", start={"streamSid": "MZ2", "mediaFormat": FORMAT})
    assert stream.ear.deadline is None
    assert hear(stream, "5000") == FRAME
    assert say(stream, A, FRAME)[0]["streamSid"] == "MZ2"


def test_audio_goes_out_in_short_pieces_with_a_mark_after_each() -> None:
    stream = started()
    audio = bytes(2000)
    frames = say(stream, A, audio)
    assert [frame["event"] for frame in frames] == ["media", "mark"] * 3
    assert {frame["streamSid"] for frame in frames} == {"MZ1"}
    payloads = [f["media"]["payload"] for f in frames if f["event"] == "media"]
    assert [len(base64.b64decode(payload)) for payload in payloads] == [800, 800, 400]
    first, second, third = names(frames)
    assert mark(stream, first) == Played("item_a", 0, 100)
    assert mark(stream, second) == Played("item_a", 0, 200)
    assert mark(stream, third) == Played("item_a", 0, 250)


def test_marks_go_on_where_the_audio_does() -> None:
    stream = started()
    say(stream, A, bytes(800))
    [name] = names(say(stream, B, bytes(8)))
    assert mark(stream, name) == Played("item:b", 1, 1)
    [name] = names(say(stream, A, bytes(1)))
    assert mark(stream, name) == Played("item_a", 0, 100.125)


def test_nothing_is_sent_before_the_start() -> None:
    stream = MediaStream()
    assert stream.mouth.say(A, FRAME) == []
    assert stream.mouth.clear() == []


def test_an_interruption_clears_what_waits() -> None:
    stream = started()
    stale = names(say(stream, A, bytes(1600)))
    assert mark(stream, stale[0]) == Played("item_a", 0, 100)
    [clear] = stream.mouth.clear()
    assert json.loads(clear) == {"event": "clear", "streamSid": "MZ1"}
    # Once, and Twilio sends the marks of what it cleared back.
    assert stream.mouth.clear() == []
    assert mark(stream, stale[1]) == Ignored("a mark of audio that was cleared")
    # Late audio of the same response is void until it is done, that of others not.
    assert say(stream, A, bytes(800)) == []
    [name] = names(say(stream, B, bytes(800)))
    assert mark(stream, name) == Played("item:b", 1, 100)
    stream.mouth.finish("resp_1")
    assert names(say(stream, A, bytes(800)))


def test_what_was_heard_to_its_end_needs_no_clear() -> None:
    stream = started()
    for name in names(say(stream, A, bytes(1600))):
        assert isinstance(mark(stream, name), Played)
    assert stream.mouth.clear() == []


def test_a_response_that_said_nothing_yet_is_silenced_too() -> None:
    stream = started()
    stream.mouth.response("resp_1")
    assert stream.mouth.clear() == []
    assert say(stream, A, bytes(800)) == []


def test_a_finished_response_can_still_be_cleared() -> None:
    stream = started()
    stale = names(say(stream, A, bytes(800)))
    stream.mouth.finish("resp_1")
    assert len(stream.mouth.clear()) == 1
    assert isinstance(mark(stream, stale[0]), Ignored)


def test_marks_of_an_earlier_stream_are_stale() -> None:
    stream = started()
    [stale] = names(say(stream, A, bytes(800)))
    take(stream, "start", start={"streamSid": "MZ2", "mediaFormat": FORMAT})
    assert isinstance(mark(stream, stale), Ignored)
