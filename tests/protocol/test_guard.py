from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.protocol.guard import Act, Expel, Guard, Restore, Surrender
from offhook.protocol.session_config import effective, merged

if TYPE_CHECKING:
    from tests.protocol.driver import Event

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}}
SESSION: dict[str, Any] = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "instructions": "Be kind.",
    "tools": [TOOL],
    "max_output_tokens": 500,
    "audio": {
        "input": {"transcription": {"model": "gpt-transcribe"}},
        "output": {"voice": "cedar"},
    },
}


class Upstream:
    """A session that both sides may change, as an upstream has it."""

    def __init__(self, session: dict[str, Any] = SESSION) -> None:
        fresh = effective("sess_1", expires_at=0, model="gpt-realtime-2.1")
        self.session = merged(fresh, session)
        self.guard = Guard(session)
        self.acts: list[Act] = []
        self.take(self.guard.ask(0.0), 0.0)

    def update(self, **patch: Any) -> Act | None:
        return self.take({"type": "session.update", "session": patch}, 1.0)

    def take(self, event: Event, now: float) -> Act | None:
        patch = {"type": "realtime", **event["session"]}
        self.session = merged(self.session, patch)
        return self.tell({"type": "session.updated", "session": self.session}, now)

    def tell(self, event: Event, now: float = 1.0) -> Act | None:
        act = self.guard.take(copy.deepcopy(event), now)
        if act:
            self.acts.append(act)
        return act

    def restore(self, act: Act | None) -> None:
        assert isinstance(act, Restore)
        for event in act.events:
            assert self.take(event, 1.1) is None


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        ({"instructions": "Be rude."}, "instructions"),
        ({"instructions": None}, "instructions"),
        ({"tools": []}, "tools"),
        ({"tools": [{**TOOL, "description": "mine"}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"max_output_tokens": "inf"}, "max_output_tokens"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"truncation": "disabled"}, "truncation"),
        ({"audio": {"output": {"voice": "ash"}}}, "audio.output.voice"),
        (
            {"audio": {"input": {"transcription": {"language": "de"}}}},
            "audio.input.transcription",
        ),
        (
            {"audio": {"input": {"transcription": None}}},
            "audio.input.transcription",
        ),
    ],
)
def test_what_is_the_servers_is_put_back_once(patch: dict[str, Any], path: str) -> None:
    upstream = Upstream()
    before = copy.deepcopy(upstream.session)
    act = upstream.update(**patch)
    assert isinstance(act, Restore)
    assert act.what == (path,)
    upstream.restore(act)
    bare = upstream.session["audio"]["input"]
    bare["transcription"] = {k: v for k, v in bare["transcription"].items() if v}
    assert upstream.session == before
    assert upstream.guard.deadline is None
    assert upstream.update(**patch) == Expel((path,))
    assert upstream.update(**patch) is None


def test_what_is_the_callers_is_no_try() -> None:
    upstream = Upstream()
    for patch in (
        {"output_modalities": ["text"]},
        {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}},
        {"audio": {"input": {"turn_detection": None}}},
        {"audio": {"input": {"noise_reduction": {"type": "near_field"}}}},
        {"audio": {"output": {"speed": 1.2}}},
        {"tracing": "auto"},
        {"instructions": "Be kind."},
    ):
        assert upstream.update(**patch) is None
    # Nor is it undone when something else is.
    upstream.restore(upstream.update(instructions="Be rude."))
    assert upstream.session["audio"]["output"]["speed"] == 1.2


def test_several_changes_are_put_back_together_and_the_voice_by_itself() -> None:
    upstream = Upstream()
    act = upstream.update(
        instructions="Be rude.", tools=[], audio={"output": {"voice": "ash"}}
    )
    assert isinstance(act, Restore)
    first, second = [event["session"] for event in act.events]
    assert first == {"type": "realtime", "instructions": "Be kind.", "tools": [TOOL]}
    assert second == {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
    upstream.restore(act)
    assert len(upstream.acts) == 1


def test_what_an_sdk_says_when_it_has_connected_is_one_try() -> None:
    """It sends a session, and then how it is to be traced."""
    upstream = Upstream()
    act = upstream.update(instructions="", tools=[])
    assert upstream.update(tracing="auto") is None
    upstream.restore(act)
    assert upstream.acts == [act]


def test_another_change_before_the_first_is_put_back_is_another_try() -> None:
    upstream = Upstream()
    upstream.update(instructions="Be rude.")
    assert upstream.update(instructions="Be ruder.") == Expel(("instructions",))


def test_what_was_changed_before_anybody_watched_is_put_back() -> None:
    upstream = Upstream.__new__(Upstream)
    fresh = effective("sess_1", expires_at=0, model="gpt-realtime-2.1")
    upstream.session = merged(fresh, {**SESSION, "instructions": "Be rude."})
    upstream.guard, upstream.acts = Guard(SESSION), []
    act = upstream.take(upstream.guard.ask(0.0), 0.0)
    upstream.restore(act)
    assert upstream.session["instructions"] == "Be kind."
    assert isinstance(upstream.update(instructions="Be rude."), Expel)


def test_tools_that_the_server_did_not_set_are_taken_away() -> None:
    upstream = Upstream({"type": "realtime", "instructions": "Be kind."})
    upstream.restore(upstream.update(tools=[TOOL]))
    assert upstream.session["tools"] == []


def test_what_is_not_put_back_in_time_ends_the_call() -> None:
    upstream = Upstream()
    upstream.update(instructions="Be rude.")
    assert upstream.guard.deadline == 6.0
    assert upstream.guard.late() == Expel(("instructions",))
    assert upstream.guard.late() is None


def test_what_the_upstream_refuses_to_put_back_ends_the_call() -> None:
    upstream = Upstream()
    act = upstream.update(audio={"output": {"voice": "ash"}})
    assert isinstance(act, Restore)
    error = {"event_id": act.events[0]["event_id"], "code": "cannot_update_voice"}
    refused = {"type": "error", "error": error}
    assert upstream.tell(refused) == Expel(("audio.output.voice",))


def test_a_voice_that_was_used_before_anybody_watched_stays() -> None:
    guard = Guard(SESSION)
    fresh = effective("sess_1", expires_at=0, model=None)
    spoken = {**SESSION["audio"], "output": {"voice": "ash"}}
    shown = merged(fresh, {**SESSION, "audio": spoken})
    act = guard.take({"type": "session.updated", "session": shown}, 0.0)
    assert isinstance(act, Restore)
    refused = {"type": "error", "error": {"event_id": act.events[0]["event_id"]}}
    assert guard.take(refused, 0.1) is None
    assert guard.deadline is None
    rude = {**shown, "instructions": "Be rude."}
    again = guard.take({"type": "session.updated", "session": rude}, 0.2)
    assert again == Expel(("instructions",))


def test_an_upstream_that_shows_nothing_is_not_guarded() -> None:
    guard = Guard(SESSION)
    assert guard.ask(3.0)["session"] == {"type": "realtime"}
    assert guard.deadline == 8.0
    assert guard.late() == Surrender(())


def test_an_upstream_that_shows_it_otherwise_is_not_guarded() -> None:
    guard = Guard(SESSION)
    guard.ask(0.0)
    shown = {"type": "session.updated", "session": {"instructions": "BE KIND."}}
    assert isinstance(guard.take(shown, 1.0), Restore)
    assert guard.take(shown, 2.0) is None
    assert guard.late() == Surrender(("instructions",))
    assert guard.take({**shown, "session": {"instructions": "x"}}, 9.0) is None


def test_an_upstream_may_hide_keys_complete_objects_and_name_voices() -> None:
    mcp = {"type": "mcp", "server_label": "a", "authorization": "secret"}
    voice = {"output": {"voice": {"id": "voice_1"}}}
    guard = Guard({**SESSION, "tools": [mcp], "audio": voice})
    shown = {
        "instructions": "Be kind.",
        "model": "gpt-realtime-2.1-2026-09-01",
        "tools": [{"type": "mcp", "server_label": "a", "require_approval": None}],
        "audio": {"output": {"voice": "voice_1"}, "input": None},
    }
    assert guard.take({"type": "session.updated", "session": shown}, 0.0) is None
    changed = {**shown, "tools": []}
    act = guard.take({"type": "session.updated", "session": changed}, 0.0)
    assert isinstance(act, Restore)
    assert act.events[0]["session"]["tools"] == [mcp]


def system(item_id: str) -> Event:
    item = {"type": "message", "id": item_id, "role": "system", "content": []}
    return {"type": "conversation.item.added", "item": item}


def test_messages_in_the_servers_name_are_deleted() -> None:
    upstream = Upstream()
    act = upstream.tell(system("a"))
    delete = {"type": "conversation.item.delete", "item_id": "a"}
    assert act == Restore((delete,), ("conversation",))
    assert upstream.tell({**system("a"), "type": "conversation.item.created"}) is None
    assert upstream.tell(system("b")) == Expel(("conversation",))


def test_one_of_the_same_id_is_another_one() -> None:
    upstream = Upstream()
    upstream.tell(system("a"))
    assert upstream.tell(system("a")) == Expel(("conversation",))


@pytest.mark.parametrize("session", [None, [], {"audio": []}, {"tools": {}}])
def test_odd_sessions_break_nothing(session: Any) -> None:
    guard = Guard(SESSION)
    guard.take({"type": "session.updated", "session": session}, 0.0)
    guard.take({"type": "error", "error": {"event_id": []}}, 0.0)


PATCHES: list[dict[str, Any]] = [
    {},
    {"instructions": "Be rude."},
    {"instructions": "Be kind."},
    {"tools": []},
    {"tools": [TOOL]},
    {"tool_choice": "none"},
    {"prompt": {"id": "pmpt_1"}},
    {"max_output_tokens": 1},
    {"audio": {"output": {"voice": "ash"}}},
    {"audio": {"output": {"speed": 0.5}}},
    {"audio": {"input": {"transcription": {"prompt": "mine"}}}},
    {"audio": {"input": {"turn_detection": None}}},
    {"output_modalities": ["text"]},
]


@given(st.lists(st.tuples(st.sampled_from(PATCHES), st.booleans()), max_size=12))
def test_whatever_is_tried_the_session_stays_or_the_call_ends(
    tries: list[tuple[dict[str, Any], bool]],
) -> None:
    """Whether what puts it back arrives before the next try, or after it."""
    upstream = Upstream()
    own = copy.deepcopy(upstream.session)
    waiting: list[Restore] = []
    for patch, at_once in tries:
        act = upstream.update(**patch)
        if isinstance(act, Restore):
            waiting.append(act)
        while at_once and waiting:
            upstream.restore(waiting.pop())
    while waiting:
        upstream.restore(waiting.pop())
    assert sum(isinstance(act, Restore) for act in upstream.acts) <= 1
    if not any(isinstance(act, Expel) for act in upstream.acts):
        for key in ("instructions", "tools", "tool_choice", "prompt"):
            assert upstream.session[key] == own[key]
        assert upstream.session["audio"]["output"]["voice"] == "cedar"
        assert upstream.guard.deadline is None
