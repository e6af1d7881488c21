from __future__ import annotations

from typing import Any

import pytest

from offhook.protocol import transport_events as told
from offhook.protocol.narration import Narration
from tests.official import problems
from tests.official_order import disorder


def item(item_id: str, role: str = "assistant", **fields: Any) -> told.ItemUpdate:
    kind = {"user": "input_audio", "assistant": "output_audio"}[role]
    content = [{"type": kind, "transcript": "Hello."}]
    own = {"item_id": item_id, "type": "message", "role": role, "content": content}
    return told.ItemUpdate({**own, **fields})


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def narrated(*names: str) -> list[dict[str, Any]]:
    """Tell a turn in which these items are said, in two pieces each."""
    narration = Narration()
    events = narration.turn_started(told.TurnStarted("resp_1", {"type": "any"}))
    for name in names:
        for words in ("Hel", "lo."):
            delta = told.Delta(words, name, "resp_1")
            say = narration.text_delta if name == "text" else narration.transcript_delta
            events += say(delta)
        events += narration.item_update(item(name))
    done = told.TurnDone("resp_1", "completed", (), told.Usage())
    events += narration.turn_done(done)
    return [{"event_id": f"event_{n}", **event} for n, event in enumerate(events)]


@pytest.mark.parametrize("names", [("a",), ("text",), ("a", "text", "b"), ()])
def test_a_turn_is_told_as_openai_tells_it(names: tuple[str, ...]) -> None:
    events = narrated(*names)
    assert [problem for event in events for problem in problems(event)] == []
    assert disorder(events) == []
    output = events[-1]["response"]["output"]
    assert [each["id"] for each in output] == list(names)
    assert "Hello." in str(output) or not names


def test_an_answer_that_comes_whole_is_told_as_one_in_pieces() -> None:
    narration = Narration()
    events = narration.turn_started(told.TurnStarted("resp_1", {"type": "any"}))
    events += narration.item_update(item("a", status="in_progress"))
    events += narration.item_update(item("a"))
    events += narration.item_update(item("a"))
    done = told.TurnDone("resp_1", "cancelled", (), told.Usage())
    events += narration.turn_done(done)
    whole = [{"event_id": f"event_{n}", **event} for n, event in enumerate(events)]
    assert disorder(whole) == []
    assert types(whole).count("conversation.item.done") == 1


def test_items_follow_each_other() -> None:
    narration = Narration()
    first = narration.item_update(item("u", "user"))
    second = narration.item_update(item("v", "user"))
    assert first[0]["previous_item_id"] is None
    assert second[0]["previous_item_id"] == "u"


def test_what_a_caller_said_is_told_as_a_transcription() -> None:
    events = Narration().item_update(item("a", "user"))
    kind = "conversation.item.input_audio_transcription.completed"
    assert types(events) == ["conversation.item.added", "conversation.item.done", kind]
    assert events[2]["transcript"] == "Hello."


def test_tools_and_secrets_stay_on_the_server() -> None:
    narration = Narration()
    call = {"item_id": "c", "type": "function_call", "name": "look"}
    assert narration.item_update(told.ItemUpdate(call)) == []
    [broken] = narration.error(told.TransportError(OSError("at db.internal")))
    assert "db.internal" not in str(broken)
    [refused] = narration.error(told.TransportError({"message": "Too long."}, "mine"))
    assert refused["error"]["message"] == "Too long."
    assert refused["error"]["event_id"] == "mine"


def test_every_method_has_its_event() -> None:
    assert set(Narration().listeners) == {
        "turn_started",
        "turn_done",
        "item_update",
        "audio_transcript_delta",
        "output_text_delta",
        "error",
    }
