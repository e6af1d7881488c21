from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.errors import InvalidRequest
from offhook.protocol.history import History
from offhook.protocol.history_edits import edits, replay
from tests.protocol.driver import Driver, Event

Item = dict[str, Any]


def message(item_id: str, text: str = "", role: str = "user", **fields: Any) -> Item:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": text or item_id}]
    own = {"item_id": item_id, "type": "message", "role": role}
    return {**own, "content": content, **fields}


def spoken(item_id: str, words: str | None = "Hi", role: str = "assistant") -> Item:
    kind = "output_audio" if role == "assistant" else "input_audio"
    part = {"type": kind, "transcript": words}
    return message(item_id, role=role, content=[part])


def call(item_id: str, **fields: Any) -> Item:
    own = {"item_id": item_id, "type": "function_call", "call_id": f"call_{item_id}"}
    return {**own, "name": "look", "arguments": "{}", "output": None, **fields}


def brief(events: list[Event]) -> list[str]:
    told = []
    for event in events:
        kind = event["type"].rpartition(".")[2]
        item_id = event.get("item_id") or event["item"]["id"]
        after = event.get("previous_item_id")
        told.append(f"{kind} {item_id}" + (f" after {after}" if after else ""))
    return told


A, B, C, D = (message(item_id) for item_id in "abcd")
B2, NEW = message("b", "other"), message("n")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([], [], []),
        ([A, B], [A, B], []),
        ([A, B], [A], ["delete b"]),
        ([A], [A, B], ["create b"]),
        ([A, B], [], ["delete a", "delete b"]),
        ([A], [NEW, A], ["create n after root"]),
        ([A, B], [B2, A], ["delete b", "create b after root"]),
        (
            [A, B, C, D],
            [A, B2, NEW, D],
            ["delete c", "delete b", "create b after a", "create n after b"],
        ),
        ([A, B, C], [C, A, B], ["delete c", "create c after root"]),
        ([A, B, C], [B, C, A], ["delete a", "create a"]),
        # What cannot be created stays, and the others go round it.
        (
            [A, B, call("f")],
            [call("f"), A, B],
            ["delete a", "delete b", "create a", "create b"],
        ),
        ([call("f"), A], [A], ["delete f"]),
        ([call("f"), A], [call("f"), A, B], ["create b"]),
        ([call("f"), A], [A, call("f")], ["delete a", "create a after root"]),
        ([spoken("a"), B], [spoken("a"), B2], ["delete b", "create b"]),
    ],
)
def test_what_differs_is_deleted_and_created_at_its_place(
    old: list[Item], new: list[Item], expected: list[str]
) -> None:
    events, warnings = edits(old, new)
    assert brief(events) == expected
    assert warnings == []


def test_events_are_numbered_so_that_errors_can_be_traced() -> None:
    events, _ = edits([A, B, C, D], [A, B2, NEW, D])
    ids = [event["event_id"] for event in events]
    kinds = ["delete", "delete", "create", "create"]
    assert ids == [f"offhook_{kind}_{at}" for at, kind in enumerate(kinds, 1)]
    later, _ = edits([A], [], first=5)
    assert later[0]["event_id"] == "offhook_delete_5"


def test_nothing_else_makes_a_difference() -> None:
    told = {"previous_item_id": "x", "status": "completed"}
    assert edits([{**A, **told}], [{**A, "status": "in_progress"}]) == ([], [])
    image = {"type": "input_image", "image_url": "data:", "detail": None}
    there = message("a", content=[image])
    del image["detail"]
    assert edits([there], [message("a", content=[dict(image)])]) == ([], [])


@pytest.mark.parametrize(
    ("item", "content"),
    [
        (spoken("a"), [{"type": "output_text", "text": "Hi"}]),
        (spoken("a", role="user"), [{"type": "input_text", "text": "Hi"}]),
    ],
)
def test_speech_without_its_audio_becomes_text(item: Item, content: list[Item]) -> None:
    [event], [warning] = edits([], [item])
    assert event["item"]["content"] == content
    assert warning == (
        "The speech of message 'a' becomes text: its audio cannot be created."
    )


def test_a_message_is_created_whole() -> None:
    image = {"type": "input_image", "image_url": "data:", "detail": None}
    audio = {"type": "input_audio", "audio": "AAAA", "transcript": "Hi"}
    item = message("a", content=[image, audio], status="incomplete", previous_item_id=1)
    [event], warnings = edits([], [item])
    assert event["item"] == {
        "id": "a",
        "type": "message",
        "role": "user",
        "status": "incomplete",
        "content": [{"type": "input_image", "image_url": "data:"}, audio],
    }
    assert warnings == []
    said = message("b", role="assistant", phase="commentary", status="in_progress")
    [event], _ = edits([], [said])
    assert (event["item"]["phase"], event["item"].get("status")) == ("commentary", None)


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        ([], [call("f")], "function_call 'f' is left out: a client cannot create it."),
        (
            [call("f")],
            [call("f", arguments="[]")],
            "function_call 'f' stays as it was: a client cannot create it.",
        ),
        (
            [call("f"), call("g")],
            [call("g"), call("f")],
            "function_call 'f' stays where it was: a client cannot create it.",
        ),
        ([], [spoken("a", "")], "message 'a' is left out: a client cannot create it."),
        (
            [{"item_id": "c", "type": "mcp_call", "output": None}],
            [{"item_id": "c", "type": "mcp_call", "output": "6"}],
            "mcp_call 'c' stays as it was: a client cannot create it.",
        ),
    ],
)
def test_what_cannot_be_done_is_said(
    old: list[Item], new: list[Item], warning: str
) -> None:
    events, warnings = edits(old, new)
    assert events == []
    assert len(warnings) == 1
    assert warnings[0].replace("'g'", "'f'") == warning


def test_what_cannot_change_still_shows_the_place() -> None:
    events, _ = edits([call("f"), B], [call("f", name="other"), NEW, B])
    assert brief(events) == ["create n after f"]


@pytest.mark.parametrize("new", [[A, A], [{"type": "message"}], [{"item_id": 3}]])
def test_every_item_needs_an_id_of_its_own(new: list[Item]) -> None:
    with pytest.raises(InvalidRequest, match="needs an 'item_id' of its own"):
        edits([], new)


IDS = st.lists(st.sampled_from("abcdefgh"), unique=True)
CALLS = st.sets(st.sampled_from("cf"))


@given(IDS, IDS, st.sets(st.sampled_from("abcdefgh")), CALLS)
def test_the_servers_conversation_becomes_the_new_one(
    there: list[str], wanted: list[str], changed: set[str], calls: set[str]
) -> None:
    driver, history = Driver(), History()

    def send(event: Event) -> None:
        for answer in driver.receive(**{"kind": event.pop("type"), **event}):
            assert answer["type"] != "error", answer
            history.take(answer)

    for item_id in there:
        item = call(item_id) if item_id in calls else message(item_id)
        wire = {"id": item.pop("item_id"), **item}
        wire.pop("output", None)
        send({"type": "conversation.item.create", "item": wire})
    old = history.items
    known = {item["item_id"]: item for item in old}
    new = [
        message(item_id, f"{item_id}!")
        if item_id in changed - calls
        else known.get(item_id) or message(item_id)
        for item_id in wanted
    ]
    events, warnings = edits(old, new)
    for event in events:
        send(event)
    shown = [item["item_id"] for item in history.items]
    if warnings:
        assert all("stays where it was" in warning for warning in warnings)
        assert sorted(shown) == sorted(wanted)
    else:
        assert shown == wanted
    # The server's own order, as the next answer would read it.
    driver.receive("response.create")
    turns = driver.answers[-1].prompt.turns
    assert [getattr(turn, "text", "call").strip("!") for turn in turns] == [
        "call" if item_id in calls and item_id in there else item_id
        for item_id in shown
    ]
    assert edits(history.items, history.items) == ([], [])


def test_a_new_session_gets_what_a_client_can_create() -> None:
    listed = {"item_id": "m", "type": "mcp_call", "name": "look"}
    told = [A, spoken("s"), call("f", output="Rain"), call("g"), listed]
    events, warnings = replay(told)
    items = [event["item"] for event in events]
    kinds = [item["type"] for item in items]
    output = "function_call_output"
    assert kinds == ["message", "message", "function_call", output, "function_call"]
    assert items[1]["content"] == [{"type": "output_text", "text": "Hi"}]
    assert items[3] == {"type": output, "call_id": "call_f", "output": "Rain"}
    assert "id" not in items[3]
    assert warnings == ["mcp_call 'm' is left out: a client cannot create it."]


def test_our_own_endpoint_takes_what_a_new_session_gets() -> None:
    driver = Driver()
    driver.endpoint.open()
    events, _ = replay([A, spoken("s"), call("f", output="Rain"), call("g")])
    for event in events:
        driver.endpoint.receive(event)
    sent = driver.drain()
    assert [event for event in sent if event["type"] == "error"] == []
    done = [e["item"]["id"] for e in sent if e["type"] == "conversation.item.done"]
    assert done[:3] == ["a", "s", "f"]
    assert len(done) == 5
