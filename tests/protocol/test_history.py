from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.protocol import endpoint
from offhook.protocol.conversation import Conversation
from offhook.protocol.history import Change, History
from tests.protocol.driver import Driver, Event
from tests.protocol.sequences import STEPS, Run

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSCRIPTION = "conversation.item.input_audio_transcription"
Made = TypeVar("Made")
NOWHERE: Any = object()


def message(
    item_id: str, text: str = "", *, role: str = "user", **fields: Any
) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": text or item_id}]
    return {"id": item_id, "type": "message", "role": role, "content": content} | fields


def told(item: Event, previous: Any = NOWHERE, moment: str = "added") -> Event:
    event = {"type": f"conversation.item.{moment}", "item": item}
    return event if previous is NOWHERE else {**event, "previous_item_id": previous}


def folded(*events: Event) -> History:
    history = History()
    for event in events:
        history.take(event)
    return history


def order(history: History) -> str:
    return "".join(item["item_id"] for item in history.items)


def kinds(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.kind, change.item["item_id"]) for change in changes]


def deleted(item_id: str) -> Event:
    return {"type": "conversation.item.deleted", "item_id": item_id}


def said(stream: str, item_id: str, moment: str = "delta", **fields: Any) -> Event:
    ids = {"item_id": item_id, "content_index": 0}
    return {"type": f"{stream}.{moment}", **ids, **fields}


SPOKEN = message(
    "a", role="assistant", content=[{"type": "output_audio", "transcript": ""}]
)
HEARD = message("u", content=[{"type": "input_audio", "transcript": None}])
CALL = {
    "id": "f",
    "type": "function_call",
    "status": "completed",
    "name": "look",
    "arguments": "{}",
    "call_id": "call_1",
}
OUTPUT = {
    "id": "o",
    "type": "function_call_output",
    "call_id": "call_1",
    "output": "done",
}


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([("a", None), ("b", "a"), ("c", "b")], "abc"),
        ([("a", None), ("b", None), ("c", None)], "cba"),
        ([("a", NOWHERE), ("b", NOWHERE), ("c", NOWHERE)], "abc"),
        ([("a", None), ("b", "a"), ("c", "a")], "acb"),
        ([("b", "a"), ("c", "b")], "bc"),
        # One that comes late takes its followers with it.
        ([("z", None), ("b", "a"), ("c", "b"), ("a", "z")], "zabc"),
        ([("b", "a"), ("c", "b"), ("z", None), ("a", "z")], "zabc"),
        ([("z", None), ("b", "a"), ("a", "z"), ("y", "z")], "zyab"),
        # Nonsense is not fatal.
        ([("a", "b"), ("b", "a")], "ab"),
        ([("a", "a"), ("b", 3)], "ab"),
    ],
)
def test_items_stand_where_the_server_says(
    places: list[tuple[str, Any]], expected: str
) -> None:
    history = folded(*(told(message(item_id), after) for item_id, after in places))
    assert order(history) == expected


def test_a_place_told_later_is_taken_and_the_first_one_kept() -> None:
    history = folded(
        told(message("a"), None),
        told(message("b"), "a"),
        {"type": "response.output_item.added", "item": message("c")},
        told(message("c"), "a"),
    )
    assert order(history) == "acb"
    history.take(told(message("c"), None, "done"))
    history.take(told(message("c"), "b"))
    assert order(history) == "acb"
    # A null in `done` does not say that it is the first.
    history.take(told(message("d"), None, "done"))
    assert order(history) == "acbd"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("conversation.item.added", "in_progress"),
        ("conversation.item.done", "completed"),
        ("conversation.item.retrieved", "completed"),
        ("response.output_item.added", "in_progress"),
        ("response.output_item.done", "completed"),
    ],
)
def test_an_item_without_a_status_has_that_of_its_event(kind: str, status: str) -> None:
    event = {"type": kind, "item": message("a"), "response_id": "r1"}
    assert folded(event).items[0]["status"] == status
    told_otherwise = message("a", status="incomplete")
    assert folded({**event, "item": told_otherwise}).items[0]["status"] == "incomplete"


def test_changes_are_told() -> None:
    history = History()
    assert kinds(history.take(told(message("a"), None))) == [("added", "a")]
    assert history.items[0]["status"] == "in_progress"
    assert kinds(history.take(told(message("a"), None, "done"))) == [("updated", "a")]
    assert history.take(told(message("a"), None, "done")) == []
    gone = history.take(deleted("a"))
    assert kinds(gone) == [("deleted", "a")]
    assert gone[0].item["content"] == message("a")["content"]
    assert history.take(deleted("a")) == []
    assert order(history) == ""


def test_a_history_is_its_own() -> None:
    event = told(message("a"))
    history = folded(event)
    event["item"]["content"][0]["text"] = "other"
    history.items[0]["content"][0]["text"] = "other"
    assert history.items[0] == {
        "item_id": "a",
        "type": "message",
        "role": "user",
        "status": "in_progress",
        "content": [{"type": "input_text", "text": "a"}],
    }


@pytest.mark.parametrize(
    ("stream", "kind", "field"),
    [
        ("response.output_text", "output_text", "text"),
        ("response.output_audio_transcript", "output_audio", "transcript"),
        (TRANSCRIPTION, "input_audio", "transcript"),
    ],
)
def test_words_grow(stream: str, kind: str, field: str) -> None:
    history = folded(told(message("a", content=[]), None))
    assert kinds(history.take(said(stream, "a", delta="Hel"))) == [("updated", "a")]
    history.take(said(stream, "a", delta="lo"))
    assert history.items[0]["content"] == [{"type": kind, field: "Hello"}]
    end = "completed" if stream == TRANSCRIPTION else "done"
    history.take(said(stream, "a", end, **{field: "Hello."}))
    assert history.items[0]["content"] == [{"type": kind, field: "Hello."}]


def test_words_for_what_is_not_there_are_ignored() -> None:
    history = folded(told(message("a"), None), told(CALL, "a"))
    stream = "response.output_audio_transcript"
    for event in (
        said(stream, "x", delta="a"),
        said(stream, "a", delta="a"),
        said(stream, "a", delta=3),
        said(stream, "a", delta="a") | {"content_index": 2},
        said(stream, "a", delta="a") | {"content_index": -1},
        said(stream, "a", delta="a") | {"content_index": "0"},
        said(stream, "f", delta="a"),
        said(TRANSCRIPTION, "a", "failed", error={}),
    ):
        assert history.take(event) == [], event


def test_a_transcript_completes_the_callers_turn() -> None:
    history = folded(told(HEARD, None))
    history.take(said(TRANSCRIPTION, "u", "completed", transcript="Hello"))
    # The item tells the end without the words.
    history.take(told(HEARD, None, "done"))
    assert history.items[0]["content"][0]["transcript"] == "Hello"
    assert history.items[0]["status"] == "completed"
    # A noise has no words after all.
    history.take(said(TRANSCRIPTION, "u", "completed", transcript=""))
    assert history.items[0]["content"][0]["transcript"] == ""


def test_what_was_heard_of_a_truncated_answer_stays() -> None:
    stream = "response.output_audio_transcript"
    history = folded(told(SPOKEN, None), said(stream, "a", delta="Hello"))
    history.take(said("conversation.item", "a", "truncated", audio_end_ms=1))
    history.take(said(stream, "a", "done", transcript=""))
    history.take(told({**SPOKEN, "status": "incomplete"}, moment="done"))
    history.take(told({**SPOKEN, "content": []}, moment="retrieved"))
    assert history.items[0]["content"][0]["transcript"] == "Hello"
    part = {"type": "output_audio", "transcript": "Hel"}
    history.take(told({**SPOKEN, "content": [part]}, moment="retrieved"))
    assert history.items[0]["content"] == [part]


def test_pictures_are_kept_and_audio_where_it_is_wanted() -> None:
    content = [
        {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
        {"type": "input_audio", "audio": "AAAA", "transcript": "Hello"},
    ]
    event = told(message("a", content=content), moment="retrieved")
    assert folded(event).items[0]["content"] == [
        content[0],
        {"type": "input_audio", "transcript": "Hello"},
    ]
    history = History(keep_audio=True)
    history.take(event)
    del content[1]["audio"]
    history.take(told(message("a", content=content), moment="done"))
    assert history.items[0]["content"][1]["audio"] == "AAAA"


def test_the_older_names_of_parts_are_translated() -> None:
    parts = [{"type": "audio", "transcript": "Hi"}, {"type": "text", "text": "Hi"}]
    item = message("a", role="assistant", content=[*parts, 3])
    content = folded(told(item)).items[0]["content"]
    assert [part["type"] for part in content] == ["output_audio", "output_text"]


@pytest.mark.parametrize("late", [False, True])
def test_a_call_gets_its_output(late: bool) -> None:
    first, second = told(CALL, None, "done"), told(OUTPUT, "f")
    history = folded(second, first) if late else folded(first, second)
    history.take(told(message("m"), "o"))
    assert order(history) == "fm"
    call = history.items[0]
    assert (call["output"], call["status"]) == ("done", "completed")
    assert kinds(history.take(deleted("o"))) == [("updated", "f")]
    call = history.items[0]
    assert (call["output"], call["status"]) == (None, "in_progress")


def test_a_call_is_open_until_then() -> None:
    history = folded(told(CALL, None, "done"))
    assert history.items[0]["status"] == "in_progress"
    changes = history.take(told(OUTPUT, "f"))
    assert [(c.kind, c.item["output"]) for c in changes] == [("updated", "done")]
    cut = folded(told({**CALL, "status": "incomplete"}, None, "done"))
    assert cut.items[0]["status"] == "incomplete"


def test_calls_of_mcp_tools() -> None:
    request = {"id": "r", "type": "mcp_approval_request", "arguments": "{}"}
    answer = {"type": "mcp_approval_response", "approval_request_id": "r"}
    call = {"id": "c", "type": "mcp_call", "output": None, "error": None}
    history = folded(told({"id": "l", "type": "mcp_list_tools", "tools": []}, None))
    assert order(history) == ""
    history.take(told(request, "l"))
    assert history.items[0]["approved"] is None
    changes = history.take(told({"id": "y", **answer, "approve": False}, "r"))
    assert changes[0].item["approved"] is False
    history.take(told(call, "y"))
    history.take(told(call, moment="retrieved"))
    assert history.items[1]["status"] == "in_progress"
    history.take(told({**call, "output": "6"}, moment="done"))
    assert history.items[1]["status"] == "completed"
    assert order(history) == "rc"


def test_what_a_response_beside_the_conversation_says_is_no_history() -> None:
    def response(moment: str, conversation: str | None) -> Event:
        ids = {"id": "r", "conversation_id": conversation}
        return {"type": f"response.{moment}", "response": ids}

    item = {"type": "response.output_item.added", "response_id": "r", "item": SPOKEN}
    history = folded(response("created", None), item)
    assert order(history) == ""
    history.take(response("done", None))
    history.take(response("created", "conv_1"))
    assert kinds(history.take(item)) == [("added", "a")]


def test_a_history_can_begin_anew() -> None:
    history = folded(told(message("a"), "x"), told(CALL), told(OUTPUT))
    shown = history.items
    history.replace()
    assert order(history) == ""
    history.take(told(message("x"), None))
    assert order(history) == "x"
    history.replace(shown)
    assert history.items == shown
    history.take(told(message("b"), "a"))
    assert order(history) == "abf"


NONSENSE: list[Any] = ["a", "", None, 3, [], {}, [{}], [3], [{"type": []}]]
NONSENSE.append([{"type": "output_text", "text": 3}])
ANY = st.sampled_from(NONSENSE)
IDS = st.sampled_from(["a", "b"])
TYPES = ["message", "function_call", "function_call_output", "mcp_approval_response"]
FIELDS = ["call_id", "approval_request_id", "role", "content", "status", "output"]
ITEM = st.builds(
    lambda item_id, kind, fields: {"id": item_id, "type": kind, **fields},
    IDS | ANY,
    st.sampled_from(TYPES) | ANY,
    st.dictionaries(st.sampled_from(FIELDS), ANY),
)
KINDS = [
    *(f"conversation.item.{m}" for m in ("added", "done", "retrieved", "deleted")),
    *(f"response.{m}" for m in ("created", "done")),
    *("response.output_item.done", "response.output_text.delta", f"{TRANSCRIPTION}.x"),
]
ABOUT = ["previous_item_id", "content_index", "delta", "response", "response_id"]
STRANGE = st.builds(
    lambda kind, item, item_id, fields: {
        "type": kind,
        "item": item,
        "item_id": item_id,
        **fields,
    },
    st.sampled_from(KINDS) | ANY,
    ITEM | ANY,
    IDS | ANY,
    st.dictionaries(st.sampled_from(ABOUT), ANY),
)


@given(st.lists(STRANGE, max_size=20))
def test_no_event_is_fatal(events: list[Event]) -> None:
    history = folded(*events)
    ids = [item["item_id"] for item in history.items]
    assert len(ids) == len(set(ids))


PLACES = st.tuples(st.sampled_from(["end", "root", "after"]), st.integers(0, 20))


@given(st.lists(st.tuples(st.sampled_from("ccd"), PLACES), max_size=20))
def test_items_that_come_and_go_stand_as_at_the_server(
    steps: list[tuple[str, tuple[str, int]]],
) -> None:
    (driver, conversation), history = watched(Driver), History()
    ids: list[str] = []
    for number, (step, (place, pick)) in enumerate(steps):
        if step == "d" and ids:
            item_id = ids.pop(pick % len(ids))
            events = driver.receive("conversation.item.delete", item_id=item_id)
        else:
            where = {"root": "root", "after": ids[pick % len(ids)] if ids else "root"}
            after = {"previous_item_id": where[place]} if place in where else {}
            item = message(f"m{number}")
            events = driver.receive("conversation.item.create", item=item, **after)
            ids.append(item["id"])
        for event in events:
            history.take(event)
    assert shown(history) == visible(conversation)


@settings(max_examples=60)
@given(STEPS, st.booleans())
def test_whatever_happens_the_order_is_the_servers(steps: Any, playout: bool) -> None:
    run, conversation = watched(lambda: Run(playout=playout, answers=True))
    for step in steps:
        run.take(step)
    history = folded(*run.events)
    assert shown(history) == visible(conversation)


def shown(history: History) -> list[str]:
    return [item["item_id"] for item in history.items]


def watched(make: Callable[[], Made]) -> tuple[Made, Conversation]:
    """Make an endpoint, and get hold of the conversation that it keeps."""
    kept: list[Conversation] = []

    def conversation(conversation_id: str) -> Conversation:
        kept.append(Conversation(conversation_id))
        return kept[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoint, "Conversation", conversation)
        return make(), kept[0]


def visible(conversation: Conversation) -> list[str]:
    """Return the order of what a history shows."""
    hidden = ("function_call_output", "mcp_list_tools", "mcp_approval_response")
    return [item["id"] for item in conversation if item["type"] not in hidden]
