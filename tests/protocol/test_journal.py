from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from offhook.protocol.journal import Entry, Journal
from tests.protocol import test_caller_turns as caller
from tests.protocol import test_model_turns as model
from tests.protocol import test_tool_runs as tools

if TYPE_CHECKING:
    from tests.protocol.driver import Event


def message(role: str = "user", text: str = "Hello", item: str = "m") -> Event:
    content = [{"type": "input_text", "text": text}]
    inner = {"type": "message", "id": item, "role": role, "content": content}
    return {"type": "conversation.item.added", "item": inner}


def test_a_conversation_is_told_in_order() -> None:
    journal = Journal()
    for at, event in (
        (0, caller.detection()),
        (600, caller.started(ms=0)),
        (2_000, caller.stopped(ms=1_500)),
        (2_010, model.created()),
        (2_100, caller.completed(said="What is there?")),
        (2_300, model.said()),
        (2_350, model.buffer("started")),
        (2_400, model.done()),
        (4_000, model.buffer("stopped")),
        (5_000, message(text="And now?")),
    ):
        journal.take(event, at)
    assert journal.end(6_000) == []
    assert [(e.who, e.begins_ms, e.ends_ms, e.text) for e in journal.entries] == [
        ("caller", 600, 1_500, "What is there?"),
        ("model", 2_350, 4_000, model.ABC),
        ("caller", 5_000, 5_000, "And now?"),
    ]
    # From the last word, not from the end of the silence after it.
    assert journal.first_audio_ms == [850]
    assert journal.entries[1].data["first_audio_ms"] == 850


def test_a_message_is_noted_once() -> None:
    journal = Journal()
    assert len(journal.take(message(), 1)) == 1
    assert journal.take(message(), 2) == []
    again = {**message(), "type": "conversation.item.created"}
    assert journal.take(again, 3) == []


def test_what_the_server_writes_is_the_servers() -> None:
    (told,) = Journal().take(message("system", "Be brief."), 1)
    assert (told.who, told.text) == ("server", "Be brief.")


def test_pictures_are_counted() -> None:
    event = message()
    event["item"]["content"] = [{"type": "input_image", "image_url": "data:…"}]
    (told,) = Journal().take(event, 1)
    assert (told.text, told.data["images"]) == ("", 1)


def test_tools_are_told() -> None:
    journal = Journal()
    journal.take(tools.called(), 100)
    assert [e.kind for e in journal.take(tools.returned(), 200)] == ["tool"]


def test_errors_and_failures_are_marks() -> None:
    error = {"message": "No credit.", "code": "insufficient_quota"}
    failed = {"id": "r", "status": "failed", "status_details": {"error": error}}
    journal = Journal()
    journal.take({"type": "error", "error": error}, 1)
    journal.take({"type": "response.done", "response": failed}, 2)
    assert [(e.kind, e.text, e.data["event"]) for e in journal.entries] == [
        ("mark", "No credit.", "error"),
        ("mark", "No credit.", "response.failed"),
    ]


def test_keys_and_our_own_events_are_marks() -> None:
    journal = Journal()
    journal.take({"type": "input_audio_buffer.dtmf_event_received", "event": "5"}, 1)
    journal.take({"type": "offhook.recording.withdrawn"}, 2)
    journal.mark("put back", 3, what="instructions")
    assert [(e.who, e.text) for e in journal.entries] == [
        ("caller", "5"),
        ("server", "offhook.recording.withdrawn"),
        ("server", "put back"),
    ]


def test_sounds_last_from_their_start_to_their_end() -> None:
    journal = Journal()
    journal.take({"type": "offhook.sound.started", "name": "hold"}, 100)
    (told,) = journal.take({"type": "offhook.sound.stopped", "name": "hold"}, 400)
    assert (told.kind, told.text) == ("sound", "hold")
    assert (told.begins_ms, told.ends_ms) == (100, 400)
    for to in ("caller", "model"):
        started = {"type": "offhook.sound.started", "name": "hold", "to": to}
        journal.take(started, 500)
    assert [(e.data["to"], e.ends_ms) for e in journal.end(700)] == [
        ("caller", 700),
        ("model", 700),
    ]


def test_usage_is_summed() -> None:
    used = {
        "input_token_details": {
            "text_tokens": 10,
            "audio_tokens": 20,
            "cached_tokens_details": {"text_tokens": 4, "audio_tokens": 0},
        },
        "output_token_details": {"text_tokens": 3, "audio_tokens": 40},
    }
    journal = Journal()
    for _ in range(2):
        response = {"id": "r", "status": "completed", "usage": used}
        journal.take({"type": "response.done", "response": response}, 1)
    assert journal.usage.as_json() == {
        "responses": 2,
        "tokens": {
            "input_text": 20,
            "input_audio": 40,
            "cached_text": 8,
            "output_text": 6,
            "output_audio": 80,
        },
        "transcribed_seconds": 0.0,
    }


def test_a_full_journal_says_so_and_keeps_no_more() -> None:
    journal = Journal()
    for number in range(100):
        journal.take(message(text="x" * 60_000, item=str(number)), number)
    assert journal.entries[-1].text == "journal.full"
    assert len(journal.entries) < 100
    assert journal.mark("more", 1_000) == []


# Everything that a journal looks at, with what may stand in its place.
_MESSAGE = {"type": "message", "role": "user", "content": [1]}
ODD: list[Any] = [None, True, -1, 10**30, 1e300, "", "r", "x" * 300, "\ud800", [], {}]
JSON = st.sampled_from([*ODD, [None], {"id": 1}, _MESSAGE])
REAL = st.sampled_from(
    [
        caller.detection(),
        caller.started(),
        caller.stopped(),
        caller.stopped(ms=0),
        caller.completed(),
        {"type": "input_audio_buffer.committed", "item_id": "b"},
        model.created(),
        model.said(),
        model.said(item="j", kind="done"),
        model.audio(1),
        *map(model.buffer, ("started", "stopped", "cleared")),
        model.cut(200),
        model.cut(10**30),
        model.done(),
        model.done("cancelled"),
        model.done(response="s"),
        tools.called(),
        tools.returned(),
        message(),
        {"type": "offhook.sound.started", "name": "hold"},
        {"type": "offhook.sound.stopped", "name": "hold"},
    ]
)


@st.composite
def broken(draw: st.DrawFn) -> Event:
    """A real event in which something else stands somewhere."""
    event: Any = dict(draw(REAL))
    part = event
    while True:
        key = draw(st.sampled_from(sorted(part)))
        inner = part[key]
        if not isinstance(inner, dict) or not inner or draw(st.booleans()):
            part[key] = draw(JSON)
            return event  # type: ignore[no-any-return]  # any JSON
        part[key] = part = dict(inner)


@given(
    st.lists(
        st.tuples(st.one_of(REAL, broken()), st.integers(-500, 3_000)), max_size=30
    )
)
def test_no_sequence_of_events_breaks_a_journal(steps: list[tuple[Event, int]]) -> None:
    journal, now = Journal(), 0
    told: list[Entry] = []
    for event, passed in steps:
        now += passed
        told += journal.take(event, now)
    told += journal.end(now)
    latest = max([0, *(sum(p for _, p in steps[:n]) for n in range(len(steps) + 1))])
    assert told == journal.entries
    for entry in told:
        assert 0 <= entry.begins_ms <= entry.ends_ms <= latest
        assert Entry.from_json(entry.as_json()) == entry
        if entry.kind == "turn" and entry.who == "model":
            assert len(entry.text) <= len(entry.data["transcript"])
    assert journal.end(now) == []
