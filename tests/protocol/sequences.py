"""Random sequences of everything that can happen to an endpoint."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from offhook.protocol.session_config import effective, transcription
from tests.protocol.driver import SECOND, Driver, Event

# What happens, and a number that picks one of what there is to do it to.
Step = tuple[str, Any]

FUNCTION = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object", "properties": {}},
}
SERVER = {
    "type": "mcp",
    "server_label": "dice",
    "server_url": "http://127.0.0.1:1/mcp",
}
ROLL = {"name": "roll", "description": "", "input_schema": {"type": "object"}}
ITEMS: list[Event] = [
    {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hello"}],
    },
    {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_audio", "audio": "AAAA" * 800}],
    },
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hello"}],
    },
    {
        "type": "message",
        "role": "system",
        "content": [{"type": "input_text", "text": "Be brief"}],
    },
    {"type": "function_call_output", "call_id": "call_1", "output": "done"},
    {"type": "function_call", "name": "look", "arguments": "{}"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_audio"}]},
    {"type": "message", "role": "user"},
    {"type": "nothing"},
    {"type": "message", "id": "item_mine", "role": "user", "content": []},
]
RESPONSES: list[Any] = [
    {},
    {"conversation": "none"},
    {"conversation": "none", "output_modalities": ["text"], "input": []},
    {"output_modalities": ["text"], "metadata": {"a": "b"}},
    {"max_output_tokens": 3},
    {"tools": [FUNCTION], "tool_choice": "required"},
    {"tools": [{**SERVER, "server_label": "other"}]},
    {"tool_choice": {"type": "function", "name": "unknown"}},
    {"input": [{"type": "item_reference", "id": "item_unknown"}]},
    {"input": "text"},
    {"conversation": 3},
]
SESSIONS: list[Any] = [
    {"audio": {"input": {"turn_detection": None}}},
    {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}},
    {
        "audio": {
            "input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}
        }
    },
    {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}},
    {"audio": {"input": {"turn_detection": {"type": "other"}}}},
    {
        "audio": {
            "input": {
                "turn_detection": {
                    "type": "server_vad",
                    "create_response": False,
                    "interrupt_response": False,
                }
            }
        }
    },
    {"audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}},
    {"audio": {"input": {"format": {"type": "audio/pcmu"}}}},
    {"audio": {"output": {"format": {"type": "audio/pcma"}, "voice": "cedar"}}},
    {"output_modalities": ["text"]},
    {"output_modalities": ["audio"]},
    {"tools": [FUNCTION]},
    {"tools": [FUNCTION, {**SERVER, "require_approval": "never"}]},
    {"tools": [SERVER]},
    {"tools": [], "tool_choice": "none"},
    {"tools": 3},
    {"unknown": 1},
    {"tracing": "auto"},
    {"max_output_tokens": 5},
]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "item", "session", "audio", "response", "id"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
KINDS = [
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "output_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "conversation.item.delete",
    "response.create",
    "response.cancel",
    "session.unknown",
]
NUMBERS = st.integers(0, 7)
STEP = st.one_of(
    st.tuples(st.sampled_from(["voice", "silence"]), st.sampled_from([96, 320, 960])),
    st.tuples(st.sampled_from(["heard", "unheard"]), NUMBERS),
    st.tuples(st.sampled_from(["say", "sound", "finish", "fail"]), NUMBERS),
    st.tuples(st.just("call"), st.sampled_from(["look", "roll", "unknown"])),
    st.tuples(st.sampled_from(["listed", "unlisted", "returned", "failed"]), NUMBERS),
    st.tuples(st.just("approve"), st.booleans()),
    st.tuples(st.just("play"), st.sampled_from([20, 500, 2000])),
    st.tuples(st.just("create"), st.tuples(st.sampled_from(ITEMS), NUMBERS)),
    st.tuples(st.just("respond"), st.sampled_from(RESPONSES)),
    st.tuples(st.just("update"), st.sampled_from(SESSIONS)),
    st.tuples(st.sampled_from(["retrieve", "delete", "truncate"]), NUMBERS),
    st.tuples(st.just("cancel"), NUMBERS),
    st.tuples(st.sampled_from(["commit", "clear", "clear output"]), st.just(0)),
    st.tuples(st.just("append"), st.sampled_from(["AAAA" * 1600, "AA==", "?", 3])),
    st.tuples(
        st.just("junk"),
        st.builds(
            lambda kind, junk, key: {"type": kind, key: junk},
            st.sampled_from(KINDS),
            JUNK,
            st.sampled_from(["item", "session", "item_id", "response", "x"]),
        ),
    ),
)
STEPS = st.lists(STEP, max_size=40)


class Run:
    """An endpoint that anything may happen to.

    Attributes:
        events: Everything that the endpoint sent to everybody.
    """

    def __init__(self, *, playout: bool, answers: bool) -> None:
        session = effective("sess_1", expires_at=0, model=None)
        if not answers:
            session = transcription("sess_1", expires_at=0)
        self._kind = session["type"]
        self.driver = Driver(playout=playout, session=session)
        self.driver.endpoint.open()
        self._drain()

    @property
    def events(self) -> list[Event]:
        return [e for e in self.driver.sent if e["type"] != "error"]

    def take(self, step: Step) -> None:
        """Let something happen."""
        name, value = step
        getattr(self, f"_{name.replace(' ', '_')}")(value)
        self._drain()

    def settle(self) -> None:
        """Finish all that has begun."""
        driver, endpoint = self.driver, self.driver.endpoint
        self._update({"audio": {"input": {"turn_detection": None}}})
        self._clear(0)
        for _ in range(3):
            self._drain()
            for turn in driver.turns:
                endpoint.heard(turn.item_id, turn.attempt, "Hi")
            for listing in driver.lists:
                endpoint.unlisted(listing.item_id)
            self._drain()
            for response_id in endpoint.unfinished:
                endpoint.finish(response_id)
            self._drain()
            for call in driver.calls:
                endpoint.returned(call.item_id, "done")
            while self._unapproved:
                self._approve(False)
                self._drain()
        for _ in range(60):
            endpoint.pull(1000)
        self._drain()

    def _drain(self) -> None:
        self.driver.drain()

    def _receive(self, kind: str, **fields: Any) -> None:
        self.driver.endpoint.receive({"type": kind, "event_id": "mine", **fields})

    @property
    def _items(self) -> list[str]:
        added = "conversation.item.added"
        ids = [e["item"]["id"] for e in self.driver.sent if e["type"] == added]
        return [*ids[-7:], "item_unknown"]

    @property
    def _unapproved(self) -> list[str]:
        asked, answered = [], set()
        for event in self.driver.sent:
            if event["type"] == "conversation.item.done":
                item = event["item"]
                if item["type"] == "mcp_approval_request":
                    asked.append(item["id"])
                if item["type"] == "mcp_approval_response":
                    answered.add(item["approval_request_id"])
        return [item_id for item_id in asked if item_id not in answered]

    def _one(self, of: list[Any], number: int) -> Any:
        return of[number % len(of)] if of else None

    def _response(self, number: int) -> str:
        ids = [answer.response_id for answer in self.driver.answers]
        return str(self._one(ids[-2:], number) or "resp_0")

    def _voice(self, ms: int) -> None:
        self.driver.voice(ms)

    def _silence(self, ms: int) -> None:
        self.driver.silence(ms)

    def _heard(self, number: int) -> None:
        if turn := self._one(self.driver.turns, number):
            complete = bool(number % 2)
            self.driver.endpoint.heard(turn.item_id, turn.attempt, "Hi", complete)

    def _unheard(self, number: int) -> None:
        if turn := self._one(self.driver.turns, number):
            self.driver.endpoint.unheard(turn.item_id, turn.attempt, "noise")

    def _say(self, number: int) -> None:
        self.driver.endpoint.say(self._response(number), "One. ")

    def _sound(self, number: int) -> None:
        self.driver.endpoint.sound(self._response(number), SECOND)

    def _finish(self, number: int) -> None:
        self.driver.endpoint.finish(self._response(number))

    def _fail(self, number: int) -> None:
        self.driver.endpoint.fail(self._response(number), "x")

    def _call(self, name: str) -> None:
        self.driver.endpoint.call(self._response(0), name, "{}")

    def _listed(self, number: int) -> None:
        if listing := self._one(self.driver.lists, number):
            self.driver.endpoint.listed(listing.item_id, [ROLL])

    def _unlisted(self, number: int) -> None:
        if listing := self._one(self.driver.lists, number):
            self.driver.endpoint.unlisted(listing.item_id)

    def _returned(self, number: int) -> None:
        if call := self._one(self.driver.calls, number):
            self.driver.endpoint.returned(call.item_id, "done")

    def _failed(self, number: int) -> None:
        if call := self._one(self.driver.calls, number):
            error = {"type": "http_error", "code": 500, "message": "x"}
            self.driver.endpoint.failed(call.item_id, error)

    def _approve(self, approve: bool) -> None:
        open_requests = self._unapproved or ["item_unknown"]
        item = {
            "type": "mcp_approval_response",
            "approval_request_id": open_requests[0],
            "approve": approve,
        }
        self._receive("conversation.item.create", item=item)

    def _play(self, ms: int) -> None:
        self.driver.play(ms)

    def _create(self, given: tuple[Event, int]) -> None:
        item, number = given
        previous = self._one([None, "root", *self._items], number)
        self._receive("conversation.item.create", item=item, previous_item_id=previous)

    def _respond(self, response: Any) -> None:
        self._receive("response.create", response=response)

    def _update(self, session: Any) -> None:
        self._receive("session.update", session={"type": self._kind, **session})

    def _retrieve(self, number: int) -> None:
        item_id = self._one(self._items, number)
        self._receive("conversation.item.retrieve", item_id=item_id)

    def _delete(self, number: int) -> None:
        item_id = self._one(self._items, number)
        self._receive("conversation.item.delete", item_id=item_id)

    def _truncate(self, number: int) -> None:
        self._receive(
            "conversation.item.truncate",
            item_id=self._one(self._items, number),
            content_index=0,
            audio_end_ms=number * 200,
        )

    def _cancel(self, number: int) -> None:
        response_id = self._one([None, self._response(0), "resp_unknown"], number)
        self._receive("response.cancel", response_id=response_id)

    def _commit(self, _: int) -> None:
        self._receive("input_audio_buffer.commit")

    def _clear(self, _: int) -> None:
        self._receive("input_audio_buffer.clear")

    def _clear_output(self, _: int) -> None:
        self._receive("output_audio_buffer.clear")

    def _append(self, audio: Any) -> None:
        self._receive("input_audio_buffer.append", audio=audio)

    def _junk(self, event: Event) -> None:
        self.driver.endpoint.receive(event)
