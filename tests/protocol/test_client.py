from __future__ import annotations

import base64
from typing import Any

import pytest

from offhook.errors import UpstreamError
from offhook.protocol import transport_events as told
from offhook.protocol.client import Client, Tell, Transmit
from offhook.protocol.playback import PlaybackLedger
from tests.protocol.driver import SECOND, Driver, Event

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}}

DICE = {"type": "mcp", "server_label": "dice", "server_url": "http://127.0.0.1:1/mcp"}


class Line:
    """A client and our own endpoint, with nothing between them."""

    def __init__(self, *, webrtc: bool = False) -> None:
        self.client = Client(None if webrtc else PlaybackLedger())
        self.driver = Driver(playout=webrtc)
        self.sent: list[Event] = []
        self.told: list[Tell] = []
        self.now = 0.0
        self.driver.endpoint.open()
        self.pass_on()

    def pass_on(self) -> None:
        """Carry events until both sides are quiet."""
        while True:
            effects = self.client.drain()
            for effect in effects:
                if isinstance(effect, Transmit):
                    self.sent.append(effect.event)
                    self.driver.endpoint.receive(dict(effect.event))
                else:
                    self.told.append(effect)
            events = self.driver.drain()
            if not effects and not events:
                return
            for event in events:
                self.client.take(event, self.now)

    def answer(self, text: str, pcm: bytes = SECOND, *, finish: bool = True) -> None:
        for event in self.driver.answer(text, pcm, finish=finish):
            self.client.take(event, self.now)
        self.pass_on()

    def voice(self, ms: int = 640) -> None:
        for event in self.driver.voice(ms):
            self.client.take(event, self.now)
        self.pass_on()

    def payloads(self, name: str) -> list[Any]:
        return [tell.payload[0] for tell in self.told if tell.name == name]

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.sent]


def test_a_message_asks_for_an_answer_which_is_told() -> None:
    line = Line()
    line.client.say("Hello")
    line.pass_on()
    assert line.kinds() == ["conversation.item.create", "response.create"]
    line.answer("Good day.")
    [done] = line.payloads("turn_done")
    assert done.status == "completed"
    assert done.usage.total_tokens > 0
    assert [delta.delta for delta in line.payloads("audio_transcript_delta")] == [
        "Good day."
    ]
    audio = line.payloads("audio")
    assert b"".join(chunk.data for chunk in audio) == SECOND
    assert {chunk.item_id for chunk in audio} == {done.output[0]["id"]}
    names = [tell.name for tell in line.told]
    assert names.index("turn_started") < names.index("audio") < names.index("turn_done")
    assert names.count("*") == len({e["event_id"] for e in line.payloads("*")})
    roles = [item["role"] for item in line.client.history.items]
    assert roles == ["user", "assistant"]


def test_what_listeners_do_to_an_event_changes_nothing() -> None:
    line = Line()
    event = {"type": "response.output_text.delta", "delta": "x"}
    line.client.take(event, 0)
    everything = line.client.drain()[0]
    assert isinstance(everything, Tell)
    everything.payload[0]["delta"] = "changed"
    assert event["delta"] == "x"


def test_a_function_is_called_and_its_output_answered() -> None:
    line = Line()
    line.client.configure({"tools": [TOOL]})
    line.client.say("Look!")
    line.pass_on()
    for event in line.driver.call("look", '{"a":1}', finish=False):
        line.client.take(event, 0)
    line.pass_on()
    [call] = line.payloads("function_call")
    line.client.give_output(call.call_id, "A cat")
    line.pass_on()
    # The answer to it waits for the end of the response that made the call.
    assert line.kinds().count("response.create") == 1
    line.driver.endpoint.finish(line.driver.answers[0].response_id)
    for event in line.driver.drain():
        line.client.take(event, 0)
    line.pass_on()
    assert line.kinds().count("response.create") == 2
    assert (call.name, call.arguments) == ("look", '{"a":1}')


def test_a_session_is_asked_for_and_then_its_tracing() -> None:
    client = Client(PlaybackLedger())
    assert client.open({"turnDetection": {"eagerness": "low"}}) != []
    client.take({"type": "session.created", "session": {"type": "realtime"}}, 0)
    assert client.configure({"tracing": None}) != []
    updates = [e.event["session"] for e in client.drain() if isinstance(e, Transmit)]
    assert [session.get("tracing") for session in updates] == [None, "auto", None]
    assert updates[0]["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"
    assert updates[2] == updates[0]
    assert client.resume() == []
    assert client.drain() == [
        Transmit({"type": "session.update", "session": updates[0]})
    ]
    assert client.open(None, joined=True) == []
    assert client.drain() == []


def test_a_session_that_is_traced_otherwise_is_told() -> None:
    client = Client(PlaybackLedger())
    client.open({"tracing": {"workflow_name": "mine"}})
    session = {"type": "realtime", "tracing": {"workflow_name": "theirs"}}
    client.take({"type": "session.created", "session": session}, 0)
    error = client.drain()[-1]
    assert isinstance(error, Tell)
    assert "traced already" in str(error.payload[0].error)


def test_a_format_that_changes_is_that_of_the_next_response() -> None:
    client = Client(PlaybackLedger())
    telephone = {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}
    client.take({"type": "session.updated", "session": telephone}, 0)
    client.take({"type": "response.created", "response": {"id": "r1"}}, 0)
    client.take({"type": "session.updated", "session": {}}, 0)
    delta = base64.b64encode(bytes(8 * 40)).decode()
    part = {"response_id": "r1", "item_id": "i1", "content_index": 0, "delta": delta}
    client.take({"type": "response.output_audio.delta", **part}, 0)
    client.interrupt(5000)
    cut = client.drain()[-1]
    assert isinstance(cut, Transmit)
    assert cut.event["audio_end_ms"] == 40


@pytest.mark.parametrize("kind", ["mcp_call", "mcp_tool_call"])
def test_a_call_of_an_mcp_tool_is_told_as_the_history_has_it(kind: str) -> None:
    line = Line()
    call = {"id": "m1", "type": kind, "name": "roll", "arguments": "{}", "output": "6"}
    line.client.take({"type": "conversation.item.done", "item": call}, 0)
    line.pass_on()
    [completed] = line.payloads("mcp_tool_call_completed")
    assert (completed.item["item_id"], completed.item["status"]) == ("m1", "completed")


def test_who_speaks_over_an_answer_cuts_what_was_not_heard() -> None:
    line = Line()
    line.client.say("Tell me a story")
    line.pass_on()
    line.answer("Once upon a time.", SECOND * 5)
    line.now = 1200.0
    line.voice()
    [cut] = [e for e in line.sent if e["type"] == "conversation.item.truncate"]
    assert cut["audio_end_ms"] == 1200
    [interrupted] = line.payloads("audio_interrupted")
    assert interrupted.audio_end_ms == 1200
    assert line.payloads("error") == []


def test_over_webrtc_the_server_cuts() -> None:
    line = Line(webrtc=True)
    line.client.say("Tell me a story")
    line.pass_on()
    line.answer("Once upon a time.", SECOND * 5, finish=False)
    line.client.interrupt(0)
    line.pass_on()
    assert line.kinds()[-2:] == ["response.cancel", "output_audio_buffer.clear"]
    assert line.payloads("audio_interrupted") == [told.AudioInterrupted()]


def test_a_refusal_names_its_event() -> None:
    line = Line()
    line.client.send({"type": "response.cancel", "event_id": "mine"})
    line.pass_on()
    [error] = line.payloads("error")
    assert error.event_id == "mine"
    assert error.error["code"] == "response_cancel_not_active"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.created"},
        {"type": "response.done", "response": None},
        {"type": "response.output_audio.delta", "delta": "?"},
        {"type": "conversation.item.done", "item": {"type": "mcp_list_tools"}},
        {"type": "error", "error": "text"},
        {"type": "session.updated", "session": {"audio": None}},
        {"type": "something.new", "x": 1},
    ],
)
def test_malformed_events_break_nothing(event: Event) -> None:
    line = Line()
    line.client.take(event, 0)
    line.client.say("Hello")
    line.pass_on()
    assert event in line.payloads("*")
    line.answer("Good day.")
    assert line.payloads("turn_done")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"type": "session.updated"}, "'session.updated': 'session' is missing"),
        ({"type": "response.done", "response": None}, "of another kind"),
        (
            {
                "type": "response.output_audio.delta",
                "response_id": "r",
                "item_id": "i",
                "content_index": 0,
                "delta": "?",
            },
            "audio that is not base64",
        ),
    ],
)
def test_an_error_says_what_is_malformed(event: Event, words: str) -> None:
    line = Line()
    line.client.take({**event, "event_id": "event_7"}, 0)
    line.pass_on()
    [error] = line.payloads("error")
    assert isinstance(error.error, UpstreamError)
    assert event["type"] in str(error.error)
    assert words in str(error.error)
    assert error.event_id == "event_7"


@pytest.mark.parametrize("name", sorted(told.OWN - {"error"}))
def test_a_raw_event_is_not_taken_for_one_of_ours(name: str) -> None:
    line = Line()
    line.pass_on()
    line.told.clear()
    line.client.take({"type": name}, 0)
    line.pass_on()
    assert line.told == [Tell("*", ({"type": name},))]


def test_an_mcp_server_that_cannot_be_reached_is_an_error() -> None:
    line = Line()
    line.client.configure({"tools": [DICE]})
    line.pass_on()
    line.driver.endpoint.unlisted(line.driver.lists[0].item_id)
    line.pass_on()
    [error] = line.payloads("error")
    assert error.error.code == "mcp_list_tools_failed"
    assert "'dice'" in str(error.error)


def test_a_new_session_is_told_what_was_heard() -> None:
    line = Line()
    line.client.say("Count.")
    line.pass_on()
    line.answer("One two three four five six seven eight nine ten.", SECOND * 5)
    line.now = 1000.0
    line.client.interrupt(line.now)
    line.pass_on()
    assert line.kinds()[-1] == "conversation.item.truncate"
    assert line.sent[-1]["audio_end_ms"] == 1000
    line.client.reset()
    line.client.resume()
    created = [e.event["item"] for e in line.client.drain() if isinstance(e, Transmit)][
        -1
    ]
    assert created["content"] == [{"type": "output_text", "text": "One two"}]
    assert created["status"] == "incomplete"
    assert len(line.client.history.items) == 2


def test_pictures_stay_in_the_history() -> None:
    line = Line()
    picture = "data:image/png;base64,AAAA"
    line.client.say([{"type": "input_image", "image": picture}], respond=False)
    line.pass_on()
    [item] = line.client.history.items
    assert item["content"][0]["image_url"] == picture
    assert line.kinds() == ["conversation.item.create"]


def test_a_new_session_has_no_history_and_one_that_comes_back_has() -> None:
    line = Line()
    line.client.say("Hello.", respond=False)
    line.pass_on()
    line.client.reset()
    line.client.resume()
    assert len(line.client.history.items) == 1
    line.client.open({})
    assert not line.client.history.items


def test_a_history_is_replaced() -> None:
    line = Line()
    for text in ("one", "two"):
        line.client.say(text, respond=False)
    line.pass_on()
    old = line.client.history.items
    new = (old[1],)
    assert line.client.reset_history(old, new) == []
    line.pass_on()
    assert [i["content"][0]["text"] for i in line.client.history.items] == ["two"]
    assert len(list(line.payloads("item_deleted"))) == 1


def test_a_history_on_its_way_is_counted_with() -> None:
    line = Line()
    for text in ("one", "two"):
        line.client.say(text, respond=False)
    line.pass_on()
    old = line.client.history.items
    line.client.reset_history(old, old[1:])
    line.client.reset_history(old, old[1:])
    line.pass_on()
    assert line.kinds().count("conversation.item.delete") == 1
    assert line.payloads("error") == []
    # Once it is answered, what comes back is new.
    line.client.reset_history(old[1:], old)
    line.pass_on()
    words = [item["content"][0]["text"] for item in line.client.history.items]
    assert words == ["one", "two"]


def test_audio_is_appended_and_committed() -> None:
    line = Line()
    line.client.configure({"audio": {"input": {"turn_detection": None}}})
    line.client.hear(SECOND, commit=True)
    line.pass_on()
    assert line.kinds()[-2:] == [
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
    ]
    assert base64.b64decode(line.sent[-2]["audio"]) == SECOND
    assert len(line.driver.turns) == 1
