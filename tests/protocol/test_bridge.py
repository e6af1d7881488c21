from __future__ import annotations

import json
from typing import Any

from offhook.errors import InvalidRequest
from offhook.events import parse
from offhook.protocol.bridge import (
    Action,
    Bridge,
    Interrupt,
    Position,
    ToCaller,
    ToModel,
    ToServer,
)
from offhook.protocol.policy import Policy
from offhook.protocol.transport_events import Audio

SECRET = {"type": "realtime", "model": "m", "instructions": "secret"}
SECOND = b"\1\0" * 24000


def bridge(*, fixed: bool = True, **options: Any) -> Bridge:
    made = Bridge(Policy(fixed=fixed), **options)
    made.opened()
    made.connected()
    return made


def told(actions: list[Action]) -> list[dict[str, Any]]:
    return [json.loads(act.text) for act in actions if isinstance(act, ToCaller)]


def asked(actions: list[Action]) -> list[dict[str, Any]]:
    return [act.event for act in actions if isinstance(act, ToModel)]


def speech(response: str = "resp_1", item: str = "item_1", ms: int = 1000) -> Audio:
    return Audio(SECOND[: ms * 48], response, item, 0)


def test_the_caller_sees_the_session_and_nothing_of_how_it_works() -> None:
    between = bridge()
    between.take({"type": "session.created", "session": SECRET})
    [created] = told(between.drain())
    assert created["session"]["model"] == "m"
    assert "secret" not in json.dumps(created)


def test_audio_is_played_and_not_told() -> None:
    between = bridge()
    between.take({"type": "response.output_audio.delta", "delta": "AAAA"})
    assert between.drain() == []
    between.audio(speech(ms=30))
    assert between.pull(20) == (SECOND[:960], Position("item_1", 20))
    [started] = told(between.drain())
    assert (started["type"], started["response_id"]) == (
        "output_audio_buffer.started",
        "resp_1",
    )
    between.finished("resp_1")
    assert between.pull(20) == (SECOND[:480], Position("item_1", 30))
    assert [e["type"] for e in told(between.drain())] == ["output_audio_buffer.stopped"]
    assert between.pull(20) == (b"", None)
    assert between.drain() == []


def test_what_is_interrupted_is_not_played() -> None:
    between = bridge()
    between.audio(speech())
    between.audio(speech(item="item_2"))
    between.pull(20)
    between.drain()
    between.interrupted()
    assert [e["type"] for e in told(between.drain())] == ["output_audio_buffer.cleared"]
    assert between.pull(20) == (b"", None)


def test_a_caller_that_clears_its_buffer_interrupts() -> None:
    between = bridge()
    between.hear('{"type": "output_audio_buffer.clear"}')
    assert between.drain() == [Interrupt()]


def test_a_callers_events_pass_the_policy() -> None:
    between = bridge()
    between.hear('{"type": "response.cancel", "event_id": "mine"}')
    between.hear('{"type": "no.such.event", "event_id": "other"}')
    actions = between.drain()
    assert asked(actions) == [{"type": "response.cancel", "event_id": "mine"}]
    [refused] = told(actions)
    assert refused["error"]["event_id"] == "other"


def test_a_callers_formats_are_not_the_models() -> None:
    between = bridge()
    audio = {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": None}}
    session = {"type": "realtime", "audio": audio}
    between.hear(json.dumps({"type": "session.update", "session": session}))
    [update] = asked(between.drain())
    assert update["session"]["audio"] == {"input": {"turn_detection": None}}


def test_what_is_no_event_is_refused() -> None:
    between = bridge(fixed=False)
    between.hear("no JSON")
    [refused] = told(between.drain())
    assert refused["type"] == "error"
    assert refused["error"]["message"]


def test_neither_side_misses_what_came_before_it() -> None:
    between = Bridge(Policy(fixed=True))
    between.take({"type": "session.created", "session": SECRET})
    between.hear('{"type": "response.cancel"}')
    assert between.drain() == []
    between.opened()
    assert [event["type"] for event in told(between.drain())] == ["session.created"]
    between.connected()
    assert [event["type"] for event in asked(between.drain())] == ["response.cancel"]


def test_too_much_before_there_is_a_model_is_refused() -> None:
    between = Bridge(Policy(fixed=True))
    between.opened()
    for _ in range(101):
        between.hear('{"type": "response.cancel"}')
    [refused] = told(between.drain())
    assert "send less" in refused["error"]["message"]
    between.connected()
    assert len(asked(between.drain())) == 100


def test_a_model_without_the_realtime_api_has_a_session_all_the_same() -> None:
    between = bridge(narrated=SECRET)
    between.hear(
        json.dumps({"type": "session.update", "session": {"type": "realtime"}})
    )
    created, updated = told(between.drain())
    assert (created["type"], updated["type"]) == ("session.created", "session.updated")
    assert "secret" not in json.dumps([created, updated])


def test_what_it_tells_is_told_in_the_words_of_the_api() -> None:
    between = bridge(narrated=SECRET)
    between.drain()
    between.narrating(lambda word: [{"type": "word", "word": word}])("hello")
    [event] = told(between.drain())
    assert (event["type"], event["word"]) == ("word", "hello")
    assert event["event_id"]


def test_that_there_is_no_model_is_told() -> None:
    between = bridge()
    between.fail("try again later")
    [error] = told(between.drain())
    assert error["error"]["message"] == "try again later"


def test_what_is_for_the_server_does_not_reach_the_model() -> None:
    for fixed in (True, False):
        between = bridge(fixed=fixed)
        event = {"type": "offhook.recording.withdraw", "event_id": "mine"}
        between.hear(json.dumps(event))
        assert between.drain() == [ToServer(event)]
        between.refuse(InvalidRequest("No.", code="invalid_value"), event)
        [error] = told(between.drain())
        assert (error["type"], error["error"]["event_id"]) == ("error", "mine")
        assert error["error"]["message"] == "No."


def test_what_is_noted_comes_behind_the_session() -> None:
    bridge = Bridge(Policy(fixed=False), narrated={"type": "realtime"})
    bridge.opened()
    bridge.note({"type": "offhook.sound.started"})
    assert bridge.drain() == []
    bridge.connected()
    bridge.note({"type": "offhook.sound.stopped"})
    kinds = [parse(a.text)["type"] for a in bridge.drain() if isinstance(a, ToCaller)]
    assert kinds == [
        "session.created",
        "offhook.sound.started",
        "offhook.sound.stopped",
    ]


def test_a_caller_waits_for_the_model_to_come_and_to_answer() -> None:
    bridge = Bridge(Policy(fixed=True))
    assert bridge.waits
    bridge.connected()
    assert not bridge.waits
    bridge.take({"type": "response.created", "response": {}})
    assert bridge.waits
    bridge.audio(Audio(bytes(4800), "r", "i", 0))
    bridge.pull(20)
    assert not bridge.waits
