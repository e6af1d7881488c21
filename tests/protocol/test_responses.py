from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.protocol.responses import ResponseSequencer

Event = dict[str, Any]

ACTIVE = "conversation_already_has_active_response"


def created(response_id: str) -> Event:
    return {"type": "response.created", "response": {"id": response_id}}


def done(response_id: str) -> Event:
    return {"type": "response.done", "response": {"id": response_id}}


def error(event_id: str | None = None, code: str = "", message: str = "") -> Event:
    fault = {"event_id": event_id, "code": code, "message": message}
    return {"type": "error", "error": fault}


def ours(number: int) -> str:
    return f"offhook_response_create_{number}"


def bare(number: int) -> Event:
    return {"type": "response.create", "event_id": ours(number)}


def manual(name: str) -> Event:
    return {"type": "response.create", "response": {"instructions": name}}


def test_an_idle_conversation_is_asked_at_once() -> None:
    sequencer = ResponseSequencer()
    assert not sequencer.busy
    assert sequencer.request() == [bare(1)]
    assert sequencer.busy
    assert sequencer.ongoing is None
    assert sequencer.take(created("r")) == []
    assert sequencer.ongoing == "r"
    assert sequencer.take(done("r")) == []
    assert not sequencer.busy


def test_requests_that_wait_are_answered_together() -> None:
    sequencer = ResponseSequencer()
    sequencer.request()
    assert sequencer.request() + sequencer.request() == []
    assert sequencer.take(created("r")) == []
    assert sequencer.request() == []
    assert sequencer.take({"type": "response.output_audio.done"}) == []
    assert sequencer.take(done("r")) == [bare(2)]
    sequencer.take(created("s"))
    assert sequencer.take(done("s")) == []


def test_creates_are_never_merged_and_keep_their_place() -> None:
    sequencer = ResponseSequencer()
    sequencer.take(created("r0"))
    for name in ("", "", "a", "b", "", ""):
        assert (sequencer.create(manual(name)) if name else sequencer.request()) == []
    sent = []
    for number in range(5):
        sent += sequencer.take(done(f"r{number}"))
        sequencer.take(created(f"r{number + 1}"))
    expected = [
        bare(1),
        {**manual("a"), "event_id": ours(2)},
        {**manual("b"), "event_id": ours(3)},
        bare(4),
    ]
    assert sent == expected


def test_a_create_keeps_its_own_event_id() -> None:
    event = {"type": "response.create", "event_id": "mine"}
    assert ResponseSequencer().create(event) == [event]
    strange = {"type": "response.create", "event_id": 7, "x": 1}
    assert ResponseSequencer().create(strange) == [{**bare(1), "x": 1}]
    assert strange["event_id"] == 7


@pytest.mark.parametrize(
    ("event", "released"),
    [
        (error(ours(1)), True),
        (error(ours(1), ACTIVE), True),
        (error("another", "response_create", "response.create"), False),
        (error(None, "response_create_failed"), True),
        (error(None, "", "Bad response.create"), True),
        (error("", "", "Bad response.create"), True),
        (error(None, ACTIVE), True),
        (error(None, "rate_limited", "Slow down"), False),
        (error(None, "response_cancel_not_active"), False),
        ({"type": "error"}, False),
        ({"type": "error", "error": None}, False),
        ({"type": "response.output_audio.done"}, False),
        (created("r"), False),
        ({"type": "response.created", "response": {}}, False),
        (done("r"), True),
        ({"type": "response.done"}, True),
        ({}, False),
    ],
    ids=str,
)
def test_what_ends_a_create(event: Event, released: bool) -> None:
    sequencer = ResponseSequencer()
    sequencer.request()
    sequencer.request()
    assert sequencer.take(event) == ([bare(2)] if released else [])


def test_what_was_merged_with_a_refused_request_is_asked_again() -> None:
    sequencer = ResponseSequencer()
    sequencer.take(created("r"))
    for _ in range(3):
        sequencer.request()
    assert sequencer.take(done("r")) == [bare(1)]
    assert sequencer.take(error(ours(1))) == [bare(2)]
    assert sequencer.take(error(ours(1))) == []
    assert sequencer.take(error(ours(2))) == [bare(3)]
    assert sequencer.take(error(ours(3))) == []
    assert not sequencer.busy


def test_a_refused_create_is_not_repeated() -> None:
    sequencer = ResponseSequencer()
    sequencer.create(manual("a"))
    sequencer.request()
    assert sequencer.take(error(ours(1))) == [bare(2)]
    assert sequencer.take(error(ours(2), ACTIVE)) == []
    assert not sequencer.busy


@pytest.mark.parametrize("linked", [ours(1), None])
def test_a_create_that_lost_a_race_is_sent_again(linked: str | None) -> None:
    sequencer = ResponseSequencer()
    sequencer.create(manual("a"))
    sequencer.request()
    sequencer.take(created("of the server"))
    assert sequencer.take(error(linked, ACTIVE)) == []
    again = {**manual("a"), "event_id": ours(2)}
    assert sequencer.take(done("of the server")) == [again]


def test_a_race_lost_for_another_reason_gives_up_the_first_request() -> None:
    sequencer = ResponseSequencer()
    sequencer.create(manual("a"))
    sequencer.take(created("of the server"))
    assert sequencer.take(error(ours(1), "invalid")) == []
    assert sequencer.take(done("of the server")) == []


def test_a_response_that_began_is_not_undone_by_an_error_of_unknown_cause() -> None:
    sequencer = ResponseSequencer()
    sequencer.take(created("r"))
    sequencer.request()
    sequencer.request()
    assert sequencer.take(done("r")) == [bare(1)]
    sequencer.take(created("s"))
    sequencer.take(error(None, "", "about response.create"))
    assert sequencer.take(done("s")) == []


def test_a_create_that_cannot_be_sent_is_given_up() -> None:
    sequencer = ResponseSequencer()
    sequencer.request()
    sequencer.create(manual("a"))
    assert sequencer.failed("another") == []
    assert sequencer.failed(ours(1)) == [{**manual("a"), "event_id": ours(2)}]
    assert sequencer.failed(ours(2)) == []
    assert not sequencer.busy


def test_a_response_is_cancelled_once() -> None:
    sequencer = ResponseSequencer()
    assert sequencer.cancel() == []
    sequencer.request()
    assert sequencer.cancel() == []
    sequencer.take(created("r"))
    assert sequencer.cancel("another") == []
    assert sequencer.cancel() == [{"type": "response.cancel"}]
    assert sequencer.cancel() == sequencer.cancel("r") == []
    assert sequencer.request() == []
    assert sequencer.take(done("r")) == [bare(2)]
    sequencer.take(created("s"))
    named = {"type": "response.cancel", "response_id": "s"}
    assert sequencer.cancel("s") == [named]


def test_nothing_to_cancel_means_that_the_response_is_over() -> None:
    sequencer = ResponseSequencer()
    sequencer.take(created("r"))
    sequencer.request()
    refusal = error("x", "response_cancel_not_active")
    assert sequencer.take(refusal) == []
    sequencer.cancel()
    assert sequencer.take(refusal) == [bare(1)]


def test_a_cancel_that_came_too_late_frees_nothing() -> None:
    sequencer = ResponseSequencer()
    sequencer.take(created("r"))
    sequencer.cancel()
    sequencer.request()
    assert sequencer.take(done("r")) == [bare(1)]
    sequencer.request()
    assert sequencer.take(error("x", "response_cancel_not_active")) == []


def test_a_response_that_was_overtaken_frees_nothing() -> None:
    sequencer = ResponseSequencer()
    sequencer.take(created("r"))
    sequencer.cancel()
    for _ in range(2):
        sequencer.take(created("s"))
    sequencer.take({"type": "response.created", "response": {}})
    assert sequencer.ongoing == "s"
    assert sequencer.cancel() == [{"type": "response.cancel"}]
    sequencer.request()
    assert sequencer.take(done("r")) == []
    assert sequencer.take(done("s")) == [bare(1)]


def test_a_disconnect_drops_everything() -> None:
    sequencer = ResponseSequencer()
    sequencer.request()
    sequencer.request()
    sequencer.take(created("r"))
    sequencer.cancel()
    sequencer.take(created("s"))
    sequencer.reset()
    assert not sequencer.busy
    assert sequencer.request() == [bare(2)]
    assert sequencer.take(done("r")) == [], "the old ids are forgotten"
    assert not sequencer.busy


class Conversation:
    """A server, and a check that each of its creates answers what it should."""

    def __init__(self) -> None:
        self.sequencer = ResponseSequencer()
        self.asked: deque[str] = deque()
        self.sent: tuple[str, list[str]] | None = None
        self.active: str | None = None
        self.cancels = 0
        self.count = 0

    def client(self, events: list[Event]) -> None:
        for event in events:
            if event["type"] == "response.cancel":
                assert self.active
                self.cancels += 1
                assert self.cancels == 1
                continue
            assert self.active is None, "a create during a response"
            assert self.sent is None, "two creates in flight"
            # A bare create answers all requests that it can.
            answered = [self.asked.popleft()]
            name = event.get("response", {}).get("instructions", "")
            assert answered == [name]
            while not name and self.asked and not self.asked[0]:
                answered.append(self.asked.popleft())
            self.sent = event["event_id"], answered

    def server(self, event: Event) -> None:
        self.client(self.sequencer.take(event))

    def do(self, step: str) -> None:
        self.count += 1
        match step:
            case "request":
                self.asked.append("")
                self.client(self.sequencer.request())
            case "create":
                self.asked.append(f"m{self.count}")
                self.client(self.sequencer.create(manual(f"m{self.count}")))
            case "cancel":
                self.client(self.sequencer.cancel())
            case "accept" | "accept in silence" if self.sent and not self.active:
                self.start(announced=step == "accept")
                self.sent = None
            case "race" if self.sent and not self.active:
                self.start(announced=True)
                event_id, answered = self.sent
                self.sent = None
                self.asked.extendleft(reversed(answered))
                self.server(error(event_id, ACTIVE))
            case "refuse" | "fail" if self.sent and not self.active:
                event_id, (_, *rest) = self.sent
                self.sent = None
                self.asked.extendleft(reversed(rest))
                if step == "refuse":
                    self.server(error(event_id, "invalid"))
                else:
                    self.client(self.sequencer.failed(event_id))
            case "voice" if not self.active and not self.sent:
                self.start(announced=True)
            case "other error":
                self.server(error("other", ACTIVE, "response.create"))
            case "done" if self.active:
                ended, self.active = self.active, None
                self.server(done(ended))

    def start(self, announced: bool) -> None:
        self.active = f"r{self.count}"
        self.cancels = 0
        if announced:
            self.server(created(self.active))


STEPS = (
    "request create cancel accept accept·in·silence race refuse fail voice "
    "other·error done done accept"
).split()


@given(st.lists(st.sampled_from(STEPS), max_size=60))
def test_every_request_is_answered_once_by_what_is_sent_after_it(
    steps: list[str],
) -> None:
    conversation = Conversation()
    for step in steps:
        conversation.do(step.replace("·", " "))
        waits = bool(conversation.asked)
        assert waits <= bool(conversation.active or conversation.sent), "a deadlock"
    for _ in range(len(steps) + 1):
        conversation.do("accept")
        conversation.do("done")
    assert not conversation.asked
    assert not conversation.sequencer.busy
