from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.protocol.effects import Send
from offhook.protocol.endpoint import Endpoint
from offhook.protocol.prompt import Turn
from offhook.protocol.session_config import effective, transcription
from tests.official_order import disorder
from tests.protocol.driver import SECOND, Driver, kinds
from tests.protocol.sequences import STEPS, Run, Step

TRANSCRIBE = {"input": {"transcription": {"model": "gpt-transcribe"}}}
OPENED = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
]
CLOSED_AUDIO = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
TURN = [
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
]
HELLO = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "Hello"}],
}


def last_error(driver: Driver) -> dict[str, Any]:
    event = driver.sent[-1]
    assert event["type"] == "error"
    error: dict[str, Any] = event["error"]
    return error


def test_a_primary_connection_is_greeted_with_the_whole_session() -> None:
    driver = Driver()
    driver.endpoint.open()
    [event] = driver.drain()
    assert event["type"] == "session.created"
    assert event["session"]["audio"]["input"]["turn_detection"]["interrupt_response"]


def test_a_text_turn_has_the_recorded_order() -> None:
    driver = Driver()
    driver.update(output_modalities=["text"])
    assert kinds(driver.receive("conversation.item.create", item=HELLO)) == [
        "conversation.item.added",
        "conversation.item.done",
    ]
    created = driver.receive("response.create")
    assert kinds(created) == ["response.created"]
    assert driver.answers[0].modality == "text"
    assert driver.answers[0].prompt.turns == (Turn("user", "Hello"),)
    events = driver.answer("Good day.", b"")
    assert kinds(events) == [
        *OPENED,
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    done = events[-2]["response"]
    assert done["status"] == "completed"
    assert done["output"][0]["content"] == [
        {"type": "output_text", "text": "Good day."}
    ]
    assert done["usage"]["output_tokens"] > 0


def test_a_spoken_turn_over_websocket_has_the_recorded_order() -> None:
    driver = Driver()
    driver.update(audio=TRANSCRIBE)
    assert kinds(driver.voice()) == ["input_audio_buffer.speech_started"]
    assert kinds(driver.silence()) == TURN
    assert driver.answers == []
    assert kinds(driver.heard("What time is it?")) == [
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert driver.answers[0].prompt.turns == (Turn("user", "What time is it?"),)
    assert kinds(driver.answer("Ten.")) == [
        *OPENED,
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        *CLOSED_AUDIO,
    ]
    ids = {
        e.get("item_id") or e["item"]["id"]
        for e in driver.sent
        if e["type"].startswith("input_audio_buffer") or "transcription" in e["type"]
    }
    assert len(ids) == 1


def test_the_turn_has_its_padding_and_its_silence_on_the_audio_clock() -> None:
    driver = Driver()
    driver.silence(960)
    [started] = driver.voice(640)
    assert started["audio_start_ms"] == 960 - 300
    [stopped] = [e for e in driver.silence() if e["type"].endswith("speech_stopped")]
    assert stopped["audio_end_ms"] == 960 + 640 + 512  # whole frames of 32 ms
    driver.receive("conversation.item.retrieve", item_id=stopped["item_id"])
    audio = base64.b64decode(driver.sent[-1]["item"]["content"][0]["audio"])
    assert len(audio) == (960 + 640 + 512 - 660) * 48


def test_audio_that_pours_in_faster_than_it_is_heard_loses_nothing() -> None:
    driver = Driver()
    driver.append(SECOND * 5)
    driver.endpoint.notice([(32 * n, float(n > 20)) for n in range(1, 100)])
    driver.endpoint.notice([(32 * n, 0.0) for n in range(100, 130)])
    driver.drain()
    [turn] = driver.turns
    assert len(turn.pcm) >= (100 - 20) * 32 * 48


def test_a_turn_is_written_down_while_it_seems_to_be_over() -> None:
    driver = Driver()
    driver.voice()
    driver.silence(256)
    [early] = driver.turns
    driver.heard("What time is it?")
    assert driver.answers == []
    driver.silence(320)
    # The words were there before the turn was: nobody had to wait for them.
    assert driver.turns == []
    assert driver.answers[0].prompt.turns == (Turn("user", "What time is it?"),)
    assert len(early.pcm) == (640 + 192) * 48


def test_words_of_a_turn_that_went_on_are_forgotten() -> None:
    driver = Driver()
    driver.voice()
    driver.silence(256)
    driver.heard("What time")
    driver.voice(320)
    assert kinds(driver.silence()) == TURN
    [whole] = driver.turns
    assert driver.answers == []
    driver.heard("What time is it?")
    assert driver.answers[0].prompt.turns == (Turn("user", "What time is it?"),)
    assert len(whole.pcm) > (640 + 256 + 320) * 48


def test_words_that_come_too_late_for_the_early_try_do_not_count_twice() -> None:
    driver = Driver()
    driver.update(audio=TRANSCRIBE)
    driver.voice()
    driver.silence(256)
    driver.voice(320)
    driver.silence()
    early, whole = driver.turns
    driver.turns = [whole, early]
    assert len(driver.heard("What time is it?")) == 2
    assert driver.heard("What time") == []


def test_words_of_an_early_try_that_come_in_a_later_pause_are_not_the_turns() -> None:
    driver = Driver()
    driver.voice()
    driver.silence(256)
    driver.voice(320)
    driver.silence(96)
    driver.heard("What time")
    driver.silence(480)
    assert driver.answers == []
    driver.heard("What time is it?")
    assert driver.answers[0].prompt.turns == (Turn("user", "What time is it?"),)


@pytest.mark.parametrize("change", ["clear", "update"])
def test_a_new_ear_does_not_begin_at_the_beginning(change: str) -> None:
    driver = Driver()
    driver.silence(3200)
    if change == "clear":
        driver.receive("input_audio_buffer.clear")
    else:
        strict = {"type": "server_vad", "threshold": 0.7}
        driver.update(audio={"input": {"turn_detection": strict}})
    [started] = driver.voice()
    assert started["audio_start_ms"] == 3200 - 300


def test_an_early_try_that_failed_is_made_again() -> None:
    driver = Driver()
    driver.voice()
    driver.silence(256)
    early = driver.turns.pop()
    driver.endpoint.unheard(early.item_id, early.attempt, "no")
    driver.silence()
    driver.heard("Hi")
    assert driver.answers[0].prompt.turns == (Turn("user", "Hi"),)


def test_a_long_turn_is_written_down_once() -> None:
    driver = Driver()
    for _ in range(4):
        driver.voice(2000)
        driver.silence(256)
    driver.silence()
    assert [len(turn.pcm) > 6000 * 48 for turn in driver.turns] == [
        *[False] * (len(driver.turns) - 1),
        True,
    ]


@pytest.mark.parametrize("end", ["commit", "clear"])
def test_activity_that_comes_after_the_end_of_a_turn_is_old_news(end: str) -> None:
    driver = Driver()
    driver.append(SECOND * 2)
    driver.receive(f"input_audio_buffer.{end}")
    driver.endpoint.notice([(32 * n, 1.0) for n in range(1, 60)])
    assert driver.drain() == []


def test_a_client_that_commits_is_heard_to_the_end() -> None:
    driver = Driver()
    driver.voice()
    driver.silence(256)
    driver.append(SECOND * 2)
    driver.receive("input_audio_buffer.commit")
    assert len(driver.turns[-1].pcm) > 2000 * 48
    assert driver.turns[-1].attempt == 2


def test_a_spoken_turn_over_webrtc_leaves_the_audio_to_the_track() -> None:
    driver = Driver(playout=True)
    driver.voice()
    driver.silence()
    driver.heard("Hi")
    assert kinds(driver.answer("Hello.")) == [
        *OPENED,
        "response.output_audio_transcript.delta",
        *CLOSED_AUDIO,
    ]
    assert kinds(driver.play(20)) == ["output_audio_buffer.started"]
    assert driver.play(900) == []
    assert kinds(driver.play(200)) == ["output_audio_buffer.stopped"]


def test_talking_over_an_answer_cancels_clears_and_truncates() -> None:
    driver = Driver(playout=True)
    driver.receive("conversation.item.create", item=HELLO)
    driver.receive("response.create")
    driver.answer("One. ", finish=False)
    driver.play(400)
    events = driver.voice()
    assert kinds(events) == [
        "input_audio_buffer.speech_started",
        *CLOSED_AUDIO,
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
    ]
    done = next(e["response"] for e in events if e["type"] == "response.done")
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert done["output"][0]["status"] == "incomplete"
    assert events[-1]["audio_end_ms"] == 400
    assert driver.abandoned == [done["id"]]
    driver.receive("conversation.item.retrieve", item_id=events[-1]["item_id"])
    # What was not heard is forgotten, words included.
    assert driver.sent[-1]["item"]["content"][0]["transcript"] == ""


def test_talking_over_an_answer_that_is_only_still_playing() -> None:
    driver = Driver(playout=True)
    driver.receive("conversation.item.create", item=HELLO)
    driver.receive("response.create")
    driver.answer("One.")
    driver.play(200)
    assert kinds(driver.voice()) == [
        "input_audio_buffer.speech_started",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
    ]


def test_with_interruption_off_the_answer_goes_on() -> None:
    driver = Driver(playout=True)
    off = {"type": "server_vad", "interrupt_response": False}
    driver.update(audio={"input": {"turn_detection": off}})
    driver.receive("response.create")
    driver.answer("One.", finish=False)
    assert kinds(driver.voice()) == ["input_audio_buffer.speech_started"]
    assert "response.created" not in kinds(driver.silence())


def test_push_to_talk() -> None:
    driver = Driver()
    driver.update(audio={"input": {"turn_detection": None}})
    driver.append(SECOND)
    assert driver.voice() == []
    assert kinds(driver.receive("input_audio_buffer.commit")) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert kinds(driver.receive("response.create")) == ["response.created"]
    assert driver.answers == []
    driver.heard("Hi")
    assert driver.answers[0].prompt.turns == (Turn("user", "Hi"),)


def test_an_answer_out_of_band_runs_beside_the_conversation() -> None:
    driver = Driver()
    driver.receive("response.create")
    events = driver.receive(
        "response.create",
        response={
            "conversation": "none",
            "output_modalities": ["text"],
            "metadata": {"topic": "x"},
            "input": [HELLO],
        },
    )
    assert events[0]["response"]["conversation_id"] is None
    assert not any(
        "conversation.item" in kind for kind in kinds(driver.answer("A", b""))
    )
    assert driver.sent[-2]["response"]["metadata"] == {"topic": "x"}


def test_cancel_by_the_client() -> None:
    driver = Driver()
    driver.receive("response.create")
    driver.answer("One. ", finish=False)
    assert kinds(driver.receive("response.cancel")) == CLOSED_AUDIO
    details = driver.sent[-2]["response"]["status_details"]
    assert details == {"type": "cancelled", "reason": "client_cancelled"}
    # What the shell still had in hand is no longer wanted.
    assert driver.answer("Two.") == []


def test_an_answer_that_could_not_be_made() -> None:
    driver = Driver()
    driver.receive("response.create")
    driver.endpoint.fail(driver.answers[0].response_id, "upstream_failed")
    response = driver.drain()[0]["response"]
    assert response["status"] == "failed"
    assert response["status_details"]["error"]["code"] == "upstream_failed"
    assert kinds(driver.receive("response.create")) == ["response.created"]


def test_speech_that_could_not_be_written_down_is_answered_all_the_same() -> None:
    driver = Driver()
    driver.update(audio=TRANSCRIBE)
    driver.voice()
    driver.silence()
    driver.endpoint.unheard(driver.turns[0].item_id, driver.turns[0].attempt, "no")
    assert kinds(driver.drain()) == [
        "conversation.item.input_audio_transcription.failed"
    ]
    assert len(driver.answers) == 1


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({"type": "nonsense"}, "invalid_value", "type"),
        (
            {"type": "session.update", "session": {}},
            "missing_required_parameter",
            "session.type",
        ),
        (
            {"type": "input_audio_buffer.append", "audio": "%%%"},
            "invalid_value",
            "audio",
        ),
        ({"type": "input_audio_buffer.append", "audio": "AAA="}, None, None),
        (
            {"type": "input_audio_buffer.append", "audio": "AA=="},
            "invalid_value",
            "audio",
        ),
        ({"type": "input_audio_buffer.append", "audio": 3}, "invalid_type", "audio"),
        (
            {"type": "input_audio_buffer.commit"},
            "input_audio_buffer_commit_empty",
            None,
        ),
        ({"type": "response.cancel"}, "response_cancel_not_active", None),
        (
            {"type": "conversation.item.delete", "item_id": "x"},
            "item_delete_invalid_item_id",
            "item_id",
        ),
        (
            {"type": "conversation.item.retrieve", "item_id": "x"},
            "item_retrieve_invalid_item_id",
            "item_id",
        ),
        (
            {
                "type": "conversation.item.truncate",
                "item_id": "x",
                "content_index": 0,
                "audio_end_ms": 0,
            },
            "item_truncate_invalid_item_id",
            "item_id",
        ),
        ({"type": "output_audio_buffer.clear"}, "invalid_value", "type"),
        ({"type": "response.create", "x": 1}, "unknown_parameter", "x"),
        (
            {"type": "conversation.item.create", "item": {"type": "message"}},
            "missing_required_parameter",
            "item.role",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": HELLO,
                "previous_item_id": "gone",
            },
            "item_create_invalid_previous_item_id",
            "previous_item_id",
        ),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_lost(
    event: dict[str, Any], code: str | None, param: str | None
) -> None:
    driver = Driver()
    driver.endpoint.receive({**event, "event_id": "mine"})
    driver.drain()
    if code is not None:
        error = last_error(driver)
        assert (error["code"], error["param"], error["event_id"]) == (
            code,
            param,
            "mine",
        )
    assert kinds(driver.receive("response.create")) == ["response.created"]


def test_a_second_answer_has_to_wait_for_the_first() -> None:
    driver = Driver()
    driver.receive("response.create")
    driver.receive("response.create", event_id="second")
    assert last_error(driver)["code"] == "conversation_already_has_active_response"
    assert last_error(driver)["event_id"] == "second"


def test_the_voice_is_fixed_once_it_was_heard() -> None:
    driver = Driver()
    driver.receive("response.create")
    driver.answer("One.")
    driver.update(audio={"output": {"voice": "ash"}})
    assert last_error(driver)["code"] == "cannot_update_voice"
    assert kinds(driver.update(instructions="x")) == ["session.updated"]


def test_the_websocket_gets_its_audio_back_when_it_asks() -> None:
    driver = Driver()
    driver.receive("response.create")
    driver.answer("One.")
    item_id = driver.sent[-3]["item"]["id"]
    driver.receive("conversation.item.retrieve", item_id=item_id)
    content = driver.sent[-1]["item"]["content"][0]
    assert base64.b64decode(content["audio"]) == SECOND
    driver.receive(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=250
    )
    assert driver.sent[-1]["audio_end_ms"] == 250
    driver.receive(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=251
    )
    assert last_error(driver)["message"].endswith("already shorter than 251ms")


def test_g711_goes_both_ways() -> None:
    driver = Driver()
    ulaw = {"format": {"type": "audio/pcmu"}}
    driver.update(audio={"input": {**ulaw, "turn_detection": None}, "output": ulaw})
    driver.append(b"\xff" * 8000)
    driver.receive("input_audio_buffer.commit")
    # All of it, though a resampler likes to know what follows.
    assert len(driver.turns[0].pcm) == 48000
    driver.receive("response.create")
    driver.heard("Hi")
    deltas = [
        base64.b64decode(e["delta"])
        for e in driver.answer("One.")
        if e["type"] == "response.output_audio.delta"
    ]
    assert len(b"".join(deltas)) == 8000


def test_an_id_that_was_announced_is_taken() -> None:
    driver = Driver()
    turn_id = driver.voice()[0]["item_id"]
    mine = {**HELLO, "id": turn_id}
    [refused] = driver.receive("conversation.item.create", item=mine)
    assert refused["error"]["code"] == "item_create_duplicate_id"
    assert "input_audio_buffer.committed" in kinds(driver.silence())


@pytest.mark.parametrize("conversation", ["none", "auto"])
def test_an_id_that_is_being_made_is_taken_even_when_deleted(
    conversation: str,
) -> None:
    driver = Driver()
    driver.receive("response.create", response={"conversation": conversation})
    item_id = driver.answer("One.", finish=False)[0]["item"]["id"]
    driver.receive("conversation.item.delete", item_id=item_id)
    mine = {**HELLO, "id": item_id}
    [refused] = driver.receive("conversation.item.create", item=mine)
    assert refused["error"]["code"] == "item_create_duplicate_id"
    driver.endpoint.finish(driver.answers[0].response_id)
    driver.drain()
    if conversation == "auto":
        created = driver.receive("conversation.item.create", item=mine)
        assert kinds(created)[0] == "conversation.item.added"


@pytest.mark.parametrize("item_id", ["", "root"])
def test_names_that_no_item_may_have(item_id: str) -> None:
    driver = Driver()
    mine = {**HELLO, "id": item_id}
    [refused] = driver.receive("conversation.item.create", item=mine)
    assert refused["error"]["param"] == "item.id"


def test_a_text_that_would_not_go_back_in_a_frame() -> None:
    driver = Driver()
    content = [{"type": "input_text", "text": "x" * (2**20 + 1)}]
    item = {"type": "message", "role": "user", "content": content}
    [refused] = driver.receive("conversation.item.create", item=item)
    assert refused["error"]["param"] == "item.content[0].text"


@pytest.mark.parametrize("kind", [{}, {"type": None}, {"type": 3}, {"type": ["x"]}])
def test_an_event_without_a_type_is_refused_by_its_id(kind: dict[str, Any]) -> None:
    driver = Driver()
    driver.endpoint.receive({"event_id": "mine", **kind})
    [refused] = driver.drain()
    assert refused["error"]["event_id"] == "mine"
    assert refused["error"]["message"] == "The 'type' field is missing."


def test_the_speed_changes_between_answers_only() -> None:
    driver = Driver()
    driver.receive("response.create")
    [refused] = driver.update(audio={"output": {"speed": 1.5}})
    assert refused["error"]["param"] == "session.audio.output.speed"
    assert kinds(driver.update(audio={"output": {"speed": 1.0}})) == ["session.updated"]
    driver.answer("One.")
    assert kinds(driver.update(audio={"output": {"speed": 1.5}})) == ["session.updated"]


@pytest.mark.parametrize(("words", "answered"), [("", False), ("Hi", True)])
def test_a_noise_that_passed_for_speech_is_not_answered(
    words: str, answered: bool
) -> None:
    driver = Driver()
    driver.voice()
    driver.silence(224)
    driver.heard(words)
    events = kinds(driver.silence(480))
    assert "conversation.item.done" in events
    assert ("response.created" in events) == answered


def test_a_transcription_session_only_writes_down() -> None:
    driver = Driver(session=transcription("sess_1", expires_at=3600))
    driver.endpoint.open()
    [created] = driver.drain()
    assert created["session"]["type"] == "transcription"
    driver.voice()
    events = [*driver.silence(), *driver.heard("Hello there.")]
    assert kinds(events) == [
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert driver.answers == []
    [refused] = driver.receive("response.create", event_id="mine")
    assert refused["error"]["event_id"] == "mine"
    [refused] = driver.update(instructions="Sing.")
    assert refused["error"]["param"] == "session.type"


def test_a_transcription_session_is_updated_like_any_other() -> None:
    driver = Driver(session=transcription("sess_1", expires_at=3600))
    [updated] = driver.receive(
        "session.update",
        session={"type": "transcription", "audio": {"input": {"turn_detection": None}}},
    )
    heard = updated["session"]["audio"]["input"]
    assert heard["turn_detection"] is None
    assert heard["transcription"] == {"model": "gpt-transcribe"}
    driver.append(SECOND)
    assert kinds(driver.receive("input_audio_buffer.commit"))[0].endswith("committed")


@pytest.mark.parametrize("playout", [False, True])
def test_a_caller_who_says_nothing_is_asked(playout: bool) -> None:
    driver = Driver(playout=playout)
    driver.update(
        audio={
            "input": {
                "turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000},
            }
        }
    )
    # Nobody has said anything yet, and nobody is waited for.
    assert driver.silence(20_000) == []
    driver.receive("response.create")
    driver.answer("Hello.", SECOND)
    if playout:
        # The answer is still being played.
        assert driver.silence(8000) == []
        driver.play(1020)
        assert driver.silence(4992) == []
    else:
        # A second of it is to be heard, and then five of silence.
        assert driver.silence(5984) == []
    events = driver.silence(96)
    assert kinds(events) == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert 5000 <= events[0]["audio_end_ms"] - events[0]["audio_start_ms"] <= 5032
    driver.heard("")
    assert driver.answers[-1].prompt.turns[-1] == Turn("user", "")


def test_speech_that_is_put_into_the_conversation_is_heard() -> None:
    driver = Driver()
    audio = base64.b64encode(SECOND).decode()
    item = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_audio", "audio": audio}],
    }
    events = driver.receive("conversation.item.create", item=item)
    assert kinds(events) == ["conversation.item.added", "conversation.item.done"]
    assert "audio" not in events[0]["item"]["content"][0]
    driver.receive("response.create")
    assert driver.answers == []
    driver.heard("Hello")
    assert driver.answers[0].prompt.turns == (Turn("user", "Hello"),)
    item["content"][0]["audio"] = "AAA="  # type: ignore[index]  # a dict of JSON
    bad = driver.receive("conversation.item.create", item=item)
    assert kinds(bad) == ["conversation.item.added", "conversation.item.done"]
    item["content"][0]["audio"] = "?"  # type: ignore[index]  # a dict of JSON
    [refused] = driver.receive("conversation.item.create", item=item)
    assert refused["error"]["param"] == "item.content[0].audio"


@pytest.mark.parametrize(
    ("seconds", "lasted"), [(3600.7, "60 minutes"), (1.8, "2 seconds")]
)
def test_a_session_that_lasted_too_long(seconds: float, lasted: str) -> None:
    driver = Driver()
    reason = driver.endpoint.expire(seconds)
    assert reason == f"Your session hit the maximum duration of {lasted}."
    [event] = driver.drain()
    assert (event["error"]["code"], event["error"]["message"]) == (
        "session_expired",
        reason,
    )


@pytest.mark.timeout(400)
@pytest.mark.parametrize("playout", [False, True])
@settings(max_examples=5_000, database=None)
@given(answers=st.integers(0, 4), steps=STEPS)
def test_no_sequence_of_events_breaks_an_invariant(
    playout: bool, answers: int, steps: list[Step]
) -> None:
    run = Run(playout=playout, answers=answers > 0)
    for step in steps:
        run.take(step)
    assert disorder(run.events) == []
    open_responses = {
        event["response"]["id"]
        for event in run.events
        if event["type"] == "response.created"
    } - {e["response"]["id"] for e in run.events if e["type"] == "response.done"}
    assert open_responses == set(run.driver.endpoint.unfinished)
    run.settle()
    assert disorder(run.events, settled=True) == []
    assert run.driver.endpoint.unfinished == ()


def test_every_event_has_an_id_of_its_own_by_default() -> None:
    endpoint = Endpoint(effective("sess_1", expires_at=0, model=None), playout=False)
    endpoint.open()
    endpoint.open()
    first, second = (e.event for e in endpoint.drain() if isinstance(e, Send))
    assert first["event_id"] != second["event_id"]
