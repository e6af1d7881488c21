from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest

from offhook.errors import InvalidRequest
from offhook.protocol.answering import Answering
from offhook.protocol.conversation import Conversation
from offhook.protocol.effects import Abandon, Generate, Outbox, Send
from offhook.protocol.items import parsed
from offhook.protocol.mcp_tools import McpTools
from offhook.protocol.playout import Playout
from offhook.protocol.prompt import Turn
from offhook.protocol.session_config import effective
from tests.official import problems
from tests.protocol.driver import SECOND, Event, kinds

SESSION = effective("sess_1", expires_at=0, model=None)


def said(role: str, text: str) -> Event:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": text}]
    return {"type": "message", "role": role, "content": content}


class Desk:
    """Answers, and what came of them."""

    def __init__(self, *, playout: bool = False) -> None:
        numbers = itertools.count(1)
        self.outbox = Outbox(lambda prefix: f"{prefix}_{next(numbers)}")
        self.conversation = Conversation("conv_1")
        self.answering = Answering(
            self.outbox,
            self.conversation,
            McpTools(self.outbox, self.conversation),
            Playout() if playout else None,
        )
        self.wanted: list[Generate] = []
        self.abandoned: list[str] = []

    def drain(self) -> list[Event]:
        events = []
        for effect in self.outbox.drain():
            match effect:
                case Send(event):
                    assert problems(event) == [], event
                    events.append(event)
                case Generate():
                    self.wanted.append(effect)
                case Abandon(response_id):
                    self.abandoned.append(response_id)
        return events

    def create(self, **params: Any) -> str:
        """Ask for an answer, and let it be made."""
        self.answering.create(SESSION, params)
        self.answering.proceed()
        self.drain()
        return self.wanted[-1].response_id

    def add(self, role: str, text: str) -> None:
        self.conversation.add(parsed(said(role, text), self.outbox.make_id("item")))


def test_an_answer_is_made_only_once_the_words_are_there() -> None:
    desk = Desk()
    desk.answering.create(SESSION, {})
    assert kinds(desk.drain()) == ["response.created"]
    assert desk.wanted == []
    desk.add("user", "Said before it proceeds")
    desk.answering.proceed()
    desk.answering.proceed()
    desk.drain()
    [request] = desk.wanted
    assert request.prompt.turns == (Turn("user", "Said before it proceeds"),)


def test_what_the_session_says_holds_where_the_answer_says_nothing() -> None:
    desk = Desk()
    session = copy.deepcopy(SESSION)
    session["instructions"] = "Be brief."
    session["audio"]["output"] |= {"voice": "ash", "speed": 1.25}
    desk.answering.create(session, {})
    desk.answering.proceed()
    [created] = desk.drain()
    output = created["response"]["audio"]["output"]
    assert output["voice"] == "ash"
    request = desk.wanted[0]
    assert (request.prompt.instructions, request.modality) == ("Be brief.", "audio")
    assert (request.voice, request.speed) == ("ash", 1.25)


def test_one_answer_may_differ_from_the_session() -> None:
    desk = Desk()
    desk.create(
        instructions="",
        output_modalities=["text"],
        audio={"output": {"voice": "echo", "format": None}},
    )
    request = desk.wanted[0]
    assert (request.prompt.instructions, request.modality) == ("", "text")
    assert (request.voice, request.speed) == ("echo", 1.0)


def test_an_account_s_own_voice_goes_by_its_id() -> None:
    desk = Desk()
    voice = {"output": {"voice": {"id": "voice_1"}}}
    desk.answering.create(SESSION, {"audio": voice})
    desk.answering.proceed()
    [request] = [e for e in desk.outbox.drain() if isinstance(e, Generate)]
    assert request.voice == "voice_1"


def test_a_context_of_its_own_may_quote_the_conversation() -> None:
    desk = Desk()
    desk.add("user", "Quoted")
    desk.add("user", "Left out")
    quoted = next(iter(desk.conversation))["id"]
    desk.create(
        conversation="none",
        input=[{"type": "item_reference", "id": quoted}, said("assistant", "Own")],
    )
    assert desk.wanted[0].prompt.turns == (
        Turn("user", "Quoted"),
        Turn("assistant", "Own"),
    )
    assert len(list(desk.conversation)) == 2


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        ({"type": "item_reference", "id": "x"}, "item_retrieve_invalid_item_id", None),
        (
            {"type": "item_reference"},
            "missing_required_parameter",
            "response.input[1].id",
        ),
        ({"type": "message"}, "missing_required_parameter", "response.input[1].role"),
        (3, "invalid_type", "response.input[1]"),
    ],
)
def test_a_bad_context_leaves_nothing_behind(
    item: Any, code: str, param: str | None
) -> None:
    desk = Desk()
    with pytest.raises(InvalidRequest) as caught:
        desk.answering.create(SESSION, {"input": [said("user", "Good"), item]})
    assert caught.value.code == code
    assert param in (None, caught.value.param)
    assert desk.drain() == []
    assert desk.answering.unfinished == ()


def test_only_one_answer_at_a_time_is_in_the_conversation() -> None:
    desk = Desk()
    first = desk.create()
    beside = desk.create(conversation="none")
    with pytest.raises(InvalidRequest, match=first):
        desk.create()
    assert desk.answering.unfinished == (first, beside)
    assert desk.answering.active is not None
    assert desk.answering.active.response_id == first
    desk.answering.finish(first, heard_ms=0)
    assert desk.answering.active is None
    assert desk.answering.unfinished == (beside,)


def test_an_answer_that_is_cancelled_while_it_waits_is_never_made() -> None:
    desk = Desk()
    desk.answering.create(SESSION, {})
    desk.answering.cancel(None, "client_cancelled")
    desk.answering.proceed()
    assert kinds(desk.drain()) == [
        "response.created",
        "response.done",
        "rate_limits.updated",
    ]
    assert desk.wanted == []


def test_an_answer_beside_the_conversation_is_cancelled_by_its_name_only() -> None:
    desk = Desk()
    beside = desk.create(conversation="none")
    with pytest.raises(InvalidRequest, match="no active response"):
        desk.answering.cancel(None, "client_cancelled")
    with pytest.raises(InvalidRequest, match="no active response"):
        desk.answering.cancel("resp_0", "client_cancelled")
    desk.answering.cancel(beside, "client_cancelled")
    desk.drain()
    assert desk.abandoned == [beside]
    assert desk.answering.unfinished == ()


def test_a_caller_who_speaks_does_not_stop_what_runs_beside() -> None:
    desk = Desk(playout=True)
    beside = desk.create(conversation="none", output_modalities=["text"])
    desk.answering.interrupt()
    assert desk.drain() == []
    assert desk.answering.unfinished == (beside,)


def test_what_comes_after_the_end_is_not_wanted() -> None:
    desk = Desk(playout=True)
    answer = desk.create()
    desk.answering.finish(answer, heard_ms=0)
    desk.drain()
    desk.answering.say(answer, "late")
    desk.answering.sound(answer, SECOND)
    desk.answering.finish(answer, heard_ms=0)
    desk.answering.fail(answer, "late")
    assert desk.drain() == []
    assert desk.answering.pull(20) == b""


def test_an_empty_answer_is_an_answer() -> None:
    desk = Desk()
    answer = desk.create()
    desk.answering.finish(answer, heard_ms=0)
    events = desk.drain()
    assert events[-2]["response"]["status"] == "completed"
    assert events[-2]["response"]["output"][0]["content"][0]["transcript"] == ""


def test_the_bill_counts_instructions_words_and_speech() -> None:
    desk = Desk()
    desk.add("user", "x" * 400)
    answer = desk.create(instructions="y" * 399)
    desk.answering.say(answer, "z" * 40)
    desk.answering.sound(answer, SECOND)
    desk.answering.finish(answer, heard_ms=2000)
    done, limits = desk.drain()[-2:]
    used = done["response"]["usage"]
    assert used["input_token_details"]["text_tokens"] == 200
    assert used["input_token_details"]["audio_tokens"] == 20
    assert used["output_token_details"] == {"text_tokens": 10, "audio_tokens": 20}
    [limit] = limits["rate_limits"]
    assert limit["remaining"] == limit["limit"] - used["total_tokens"]


def test_a_clearing_cuts_each_item_where_it_was_heard() -> None:
    desk = Desk(playout=True)
    first = desk.create()
    desk.answering.sound(first, SECOND)
    desk.answering.finish(first, heard_ms=0)
    second = desk.create()
    desk.answering.sound(second, SECOND)
    assert len(desk.answering.pull(300)) == 300 * 48
    desk.drain()
    desk.answering.clear_playout()
    events = desk.drain()
    cleared = [e["response_id"] for e in events if e["type"].endswith("cleared")]
    cuts = [e["audio_end_ms"] for e in events if e["type"].endswith("truncated")]
    assert (cleared, cuts) == ([first, second], [300, 0])
    assert desk.answering.pull(20) == b""


def test_an_item_that_was_deleted_while_it_plays_is_only_cleared() -> None:
    desk = Desk(playout=True)
    answer = desk.create()
    desk.answering.sound(answer, SECOND)
    desk.answering.finish(answer, heard_ms=0)
    desk.drain()
    item_id = desk.conversation.last_id()
    assert item_id is not None
    desk.conversation.delete(item_id)
    desk.answering.clear_playout()
    assert kinds(desk.drain()) == ["output_audio_buffer.cleared"]


def test_without_a_playout_there_is_nothing_to_clear_or_to_pull() -> None:
    desk = Desk()
    assert desk.answering.pull(20) == b""
    with pytest.raises(InvalidRequest, match="WebRTC"):
        desk.answering.clear_playout()
