"""The order of server events, as recorded traffic of OpenAI has it.

A model says what one event may look like; this says which may follow which. It was
drawn from recordings, and from what the official SDKs wait for: they match events by
their ids, so ids must agree, and each thing that opens must close exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Event = dict[str, Any]

_INPUT = "input_audio_buffer"
_OUTPUT = "output_audio_buffer"
_ITEM = "conversation.item"
_HEARD = f"{_ITEM}.input_audio_transcription"
_ENDED = {"completed", "cancelled", "failed", "incomplete"}

# What a part of each type consists of, in the order in which it is done.
_STREAMS = {
    "audio": ("output_audio", "output_audio_transcript"),
    "text": ("output_text",),
}


def disorder(events: Iterable[Event], *, settled: bool = False) -> list[str]:
    """List what one connection received out of order.

    Args:
        events: All that it received. If `session.created` is not the first, it has
            joined late, and may refer to what was before.
        settled: Whether it was quiet at the end, so that all that opened has closed.
    """
    record = _Record()
    for event in events:
        record.take(event)
    if settled:
        record.settle()
    return record.complaints


@dataclass
class _Part:
    """A content part of an answer.

    Attributes:
        kind: `audio` or `text`.
        words: What it says, as it came.
        done: Its streams that have ended.
        closed: Whether `content_part.done` came.
    """

    kind: str
    words: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    closed: bool = False

    @property
    def said(self) -> str:
        """All that it says."""
        return "".join(self.words)


@dataclass
class _Output:
    """An item that a response makes.

    Attributes:
        index: Its output_index.
        announced: As `response.output_item.added` had it.
        parts: Its content.
        arguments: What came of them so far, for the call of a tool.
        called: All of them, once they are done.
        closed: As `response.output_item.done` had it.
    """

    index: int
    announced: Event
    parts: list[_Part] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    called: str | None = None
    closed: Event | None = None


@dataclass
class _Response:
    """A response.

    Attributes:
        apart: Whether it is out of band (`conversation: none`).
        outputs: Its items by id, in the order of their output_index.
        done: Whether `response.done` came.
        played: Where its audio is on its way to a caller's ear.
    """

    apart: bool
    outputs: dict[str, _Output] = field(default_factory=dict)
    done: bool = False
    played: str | None = None


@dataclass
class _Utterance:
    """A turn of the caller that is open."""

    item_id: str
    start_ms: int
    stopped: bool = False


class _Record:
    """Takes the events of one connection, and notes what is wrong about them."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self._at = -1
        self._event: Event = {}
        self._whole = False
        self._transcribes = False
        self._event_ids: set[str] = set()
        # The conversation: each item's neighbours, the end, and who is on the way in.
        self._before: dict[str, str | None] = {}
        self._after: dict[str | None, str | None] = {}
        self._last: str | None = None
        self._item_done: dict[str, bool] = {}
        self._previous: dict[str, str | None] = {}
        self._due: list[str] = []
        self._gone: set[str] = set()
        self._truncated: set[str] = set()
        self._utterance: _Utterance | None = None
        self._committed: dict[str, str | None] = {}
        self._words: dict[str, list[str]] = {}
        self._written: set[str] = set()
        self._responses: dict[str, _Response] = {}
        self._owners: dict[str, str] = {}
        self._active: str | None = None
        self._ended = 0
        self._streamed = False
        self._limits = 0
        self._mcp: dict[str, str] = {}
        self._handlers: dict[str, Callable[[Event], None]] = {
            "session.created": self._session_created,
            f"{_INPUT}.speech_started": self._speech_started,
            f"{_INPUT}.speech_stopped": self._speech_stopped,
            f"{_INPUT}.committed": self._input_committed,
            f"{_INPUT}.cleared": self._input_cleared,
            f"{_INPUT}.timeout_triggered": self._timeout_triggered,
            f"{_ITEM}.added": self._item_added,
            f"{_ITEM}.done": self._item_finished,
            f"{_ITEM}.deleted": self._item_deleted,
            f"{_ITEM}.truncated": self._item_truncated,
            f"{_ITEM}.retrieved": lambda e: self._known(e["item"]["id"]),
            f"{_HEARD}.delta": self._heard_delta,
            f"{_HEARD}.completed": self._heard_all,
            f"{_HEARD}.failed": self._heard_all,
            "response.created": self._response_created,
            "response.done": self._response_done,
            "rate_limits.updated": self._rate_limits,
            "response.output_item.added": self._output_added,
            "response.output_item.done": self._output_done,
            "response.content_part.added": self._part_added,
            "response.content_part.done": self._part_done,
            f"{_OUTPUT}.started": self._play_started,
            f"{_OUTPUT}.stopped": self._play_ended,
            f"{_OUTPUT}.cleared": self._play_ended,
            "mcp_list_tools.in_progress": self._list_began,
            "mcp_list_tools.completed": self._list_ended,
            "mcp_list_tools.failed": self._list_ended,
            "response.mcp_call.in_progress": self._call_began,
            "response.mcp_call.completed": self._call_ended,
            "response.mcp_call.failed": self._call_ended,
        }
        for stream in (s for streams in _STREAMS.values() for s in streams):
            self._handlers[f"response.{stream}.delta"] = self._stream_delta
            self._handlers[f"response.{stream}.done"] = self._stream_done
        for kind in ("function_call", "mcp_call"):
            self._handlers[f"response.{kind}_arguments.delta"] = self._argument_delta
            self._handlers[f"response.{kind}_arguments.done"] = self._argument_done

    def take(self, event: Event) -> None:
        """Take the next event."""
        self._at += 1
        self._event = event
        event_id = event.get("event_id")
        if event_id in self._event_ids:
            self._complain(f"event_id {event_id} was there before")
        if event_id is not None:
            self._event_ids.add(event_id)
        if handler := self._handlers.get(event["type"]):
            handler(event)

    def settle(self) -> None:
        """Take note that nothing more comes."""
        self._at, self._event = self._at + 1, {"type": "the end"}
        for response_id, response in self._responses.items():
            self._check(response.done, f"{response_id} never ended")
            self._check(response.played != "started", f"{response_id} plays for ever")
        turn = self._utterance
        self._check(turn is None or not turn.stopped, "a turn was not committed")
        for item_id in self._due:
            self._complain(f"{item_id} never came into the conversation")
        for item_id, done in self._item_done.items():
            self._check(done, f"{item_id} was never done")
        for item_id in self._words.keys() - self._written - self._gone:
            self._complain(f"the words of {item_id} were never completed")
        for item_id, state in self._mcp.items():
            self._check(state == "ended", f"{item_id} is in progress for ever")

    def _complain(self, what: str) -> None:
        self.complaints.append(f"{self._at} {self._event['type']}: {what}")

    def _check(self, fine: object, what: str) -> None:
        if not fine:
            self._complain(what)

    # The session

    def _session_created(self, event: Event) -> None:
        self._check(self._at == 0, "a greeting in the middle")
        self._whole = self._at == 0
        self._transcribes = event["session"]["type"] == "transcription"

    # What the caller says

    def _speech_started(self, event: Event) -> None:
        self._check(self._utterance is None, "the turn before is still open")
        self._utterance = _Utterance(event["item_id"], event["audio_start_ms"])

    def _speech_stopped(self, event: Event) -> None:
        turn = self._utterance
        if turn is None:
            self._check(not self._whole, "no speech has started")
            return
        self._check(not turn.stopped, "for the second time")
        self._check(event["item_id"] == turn.item_id, "not the item that started")
        self._check(event["audio_end_ms"] >= turn.start_ms, "before it started")
        turn.stopped = True

    def _input_committed(self, event: Event) -> None:
        item_id = event["item_id"]
        if turn := self._utterance:
            self._check(item_id == turn.item_id, "not the item that was spoken")
        self._utterance = None
        self._check(item_id not in self._committed, f"{item_id} was committed before")
        self._committed[item_id] = event.get("previous_item_id")
        self._due.append(item_id)

    def _input_cleared(self, _: Event) -> None:
        self._utterance = None

    def _timeout_triggered(self, event: Event) -> None:
        self._check(self._utterance is None, "while the caller speaks")
        self._check(event["audio_end_ms"] >= event["audio_start_ms"], "backwards")
        self._utterance = _Utterance(event["item_id"], event["audio_start_ms"])

    def _heard_delta(self, event: Event) -> None:
        item_id = event["item_id"]
        self._heard_of(item_id)
        self._words.setdefault(item_id, []).append(event.get("delta") or "")

    def _heard_all(self, event: Event) -> None:
        item_id = event["item_id"]
        self._heard_of(item_id)
        self._written.add(item_id)
        deltas = self._words.get(item_id)
        if deltas is not None and "transcript" in event:
            same = "".join(deltas).strip() == event["transcript"].strip()
            self._check(same, "not what the deltas say")

    def _heard_of(self, item_id: str) -> None:
        self._check(item_id not in self._written, f"{item_id} was complete")
        if not (self._utterance and self._utterance.item_id == item_id):
            self._known(item_id)

    # The conversation

    def _known(self, item_id: str) -> None:
        self._check(
            not self._whole or item_id in self._before or item_id in self._gone,
            f"{item_id} is not in the conversation",
        )

    def _item_added(self, event: Event) -> None:
        item, previous = event["item"], event.get("previous_item_id")
        item_id = item["id"]
        self._check(item_id not in self._before, f"{item_id} is there already")
        if turn := self._utterance:
            self._check(item_id != turn.item_id, "a turn that was not committed")
        if item_id in self._due:
            self._check(self._due[0] == item_id, f"{self._due[0]} is due first")
            self._due.remove(item_id)
            if self._whole:
                self._check(previous == self._last, f"the last one is {self._last}")
        elif item_id in self._owners:
            self._complain(f"{item_id} is no longer due")
        if item_id in self._committed:
            same = previous == self._committed[item_id]
            self._check(same, "another previous_item_id than when committed")
        if output := self._output_of(item_id):
            self._check(item.get("status") in (None, "in_progress"), "not in progress")
            self._check(not output.parts, "after its content")
        if previous is not None:
            self._known(previous)
        self._insert(item_id, previous)
        self._item_done[item_id] = False
        self._previous[item_id] = previous

    def _item_finished(self, event: Event) -> None:
        item, previous = event["item"], event.get("previous_item_id")
        item_id = item["id"]
        if item_id not in self._item_done:
            if self._whole:
                self._check(item_id in self._gone, f"{item_id} was not added")
            return
        self._check(not self._item_done[item_id], f"{item_id} was done before")
        self._item_done[item_id] = True
        same = previous is None or previous == self._previous[item_id]
        self._check(same, "another previous_item_id than when added")
        if output := self._output_of(item_id):
            self._check(output.closed is None, "after response.output_item.done")
            self._complete(item, output)

    def _item_deleted(self, event: Event) -> None:
        item_id = event["item_id"]
        self._known(item_id)
        self._gone.add(item_id)
        self._item_done.pop(item_id, None)
        if item_id in self._before:
            before, after = self._before.pop(item_id), self._after.pop(item_id)
            self._link(before, after)

    def _item_truncated(self, event: Event) -> None:
        self._known(event["item_id"])
        self._truncated.add(event["item_id"])

    def _insert(self, item_id: str, previous: str | None) -> None:
        # One who joined late does not know the neighbours.
        if previous is not None and previous not in self._before:
            previous = self._last
        after = self._after.get(previous)
        self._link(previous, item_id)
        self._link(item_id, after)

    def _link(self, before: str | None, after: str | None) -> None:
        self._after[before] = after
        if after is None:
            self._last = before
        else:
            self._before[after] = before

    # Responses

    def _response(self, event: Event) -> _Response | None:
        """Find the response that an event is about, which must be in progress."""
        response = self._responses.get(event["response_id"])
        if response is None:
            self._check(not self._whole, "the response was not created")
        elif response.done:
            self._complain("the response is done")
        return response

    def _output(self, event: Event) -> _Output | None:
        """Find the item that an event is about, which must be open."""
        response = self._response(event)
        if response is None:
            return None
        output = response.outputs.get(event["item_id"])
        if output is None:
            self._complain(f"{event['item_id']} is not part of the response")
            return None
        fine = event["output_index"] == output.index
        self._check(fine, f"output_index is not {output.index}")
        self._check(output.closed is None, "the item is done")
        return output

    def _output_of(self, item_id: str) -> _Output | None:
        if (response_id := self._owners.get(item_id)) is None:
            return None
        return self._responses[response_id].outputs[item_id]

    def _part(self, event: Event) -> _Part | None:
        """Find the part that an event is about, which must be open."""
        if (output := self._output(event)) is None:
            return None
        if event["content_index"] >= len(output.parts):
            self._complain("there is no such part")
            return None
        part = output.parts[event["content_index"]]
        self._check(not part.closed, "the part is done")
        return part

    def _response_created(self, event: Event) -> None:
        response = event["response"]
        response_id = response["id"]
        self._check(not self._transcribes, "in a transcription session")
        self._check(response_id not in self._responses, f"{response_id} for ever new")
        self._check(response["status"] == "in_progress", "not in progress")
        self._check(response["output"] == [], "with output")
        apart = response.get("conversation_id") is None
        if not apart:
            self._check(self._active is None, f"{self._active} still in progress")
            self._active = response_id
        self._responses[response_id] = _Response(apart)

    def _response_done(self, event: Event) -> None:
        given = event["response"]
        response = self._responses.get(given["id"])
        if response is None:
            self._check(not self._whole, f"{given['id']} was not created")
            return
        self._check(not response.done, f"{given['id']} for the second time")
        response.done = True
        self._ended += 1
        if self._active == given["id"]:
            self._active = None
        self._check(given["status"] in _ENDED, f"with status {given['status']}")
        apart = given.get("conversation_id") is None
        self._check(apart == response.apart, "another conversation than when created")
        made = [output.closed for output in response.outputs.values()]
        self._check(None not in made, "with open items")
        self._check(
            [item["id"] for item in given["output"]] == list(response.outputs),
            "the output is not what was announced",
        )
        for item, closed in zip(given["output"], made, strict=False):
            self._check(
                closed is None or item == closed or item["id"] in self._truncated,
                f"{item['id']} differs from its response.output_item.done",
            )
        if given["status"] == "completed":
            fine = all(_status(item) == "completed" for item in given["output"])
            self._check(fine, "completed with an item that is not")

    def _rate_limits(self, _: Event) -> None:
        self._limits += 1
        self._check(not self._whole or self._limits <= self._ended, "for no response")

    def _output_added(self, event: Event) -> None:
        item = event["item"]
        if (response := self._response(event)) is None:
            return
        self._check(item["id"] not in self._owners, f"{item['id']} for the second time")
        index = len(response.outputs)
        self._check(event["output_index"] == index, f"output_index is not {index}")
        self._check(item.get("status") in (None, "in_progress"), "not in progress")
        self._check(not item.get("content"), "with content")
        # Both SDKs handle a call twice that is announced as a whole.
        if item["type"] in ("function_call", "mcp_call"):
            self._check(item["arguments"] == "", "with arguments")
        response.outputs[item["id"]] = _Output(index, item)
        self._owners[item["id"]] = event["response_id"]
        if not response.apart:
            self._due.append(item["id"])

    def _output_done(self, event: Event) -> None:
        item = event["item"]
        if (output := self._output({**event, "item_id": item["id"]})) is None:
            return
        output.closed = item
        self._check(item["type"] == output.announced["type"], "another type")
        if not self._responses[event["response_id"]].apart:
            done = self._item_done.get(item["id"], item["id"] in self._gone)
            self._check(done, f"before {_ITEM}.done")
        self._complete(item, output)

    def _complete(self, item: Event, output: _Output) -> None:
        """Check an item that is done against what came of it."""
        self._check(_status(item) != "in_progress", "in progress")
        self._check(all(part.closed for part in output.parts), "with open parts")
        if item["type"] == "message":
            said = [_whole_of(part) for part in item["content"]]
            came = [part.said for part in output.parts]
            if item["id"] in self._truncated:
                came = [""] * len(came)
            self._check(said == came, f"says {said}, and its parts {came}")
        elif item["type"] in ("function_call", "mcp_call"):
            fine = output.called == item["arguments"]
            self._check(fine or item["status"] == "incomplete", "other arguments")

    # What an item is made of

    def _part_added(self, event: Event) -> None:
        if (output := self._output(event)) is None:
            return
        self._check(event["item_id"] not in self._due, f"before {_ITEM}.added")
        index = len(output.parts)
        self._check(event["content_index"] == index, f"content_index is not {index}")
        self._check(not _whole_of(event["part"]), "with content")
        output.parts.append(_Part(event["part"]["type"]))

    def _part_done(self, event: Event) -> None:
        if (part := self._part(event)) is None:
            return
        part.closed = True
        self._check(event["part"]["type"] == part.kind, f"the part is of {part.kind}")
        self._check(len(part.done) == len(_STREAMS[part.kind]), "with open streams")
        self._check(_whole_of(event["part"]) == part.said, "not what the deltas say")

    def _stream_delta(self, event: Event) -> None:
        stream = _stream(event)
        if (part := self._part(event)) is None:
            return
        self._check(stream in _STREAMS[part.kind], f"in a part of {part.kind}")
        self._check(stream not in part.done, "it was done")
        if stream == "output_audio":
            self._streamed = True
        else:
            part.words.append(event["delta"])

    def _stream_done(self, event: Event) -> None:
        stream = _stream(event)
        if (part := self._part(event)) is None:
            return
        next_one = _STREAMS[part.kind][len(part.done) :][:1]
        self._check(next_one == (stream,), f"{next_one} is to be done first")
        part.done.append(stream)
        if stream != "output_audio":
            self._check(_whole_of(event) == part.said, "not what the deltas say")

    def _argument_delta(self, event: Event) -> None:
        if output := self._called(event):
            output.arguments.append(event["delta"])

    def _argument_done(self, event: Event) -> None:
        if (output := self._called(event)) is None:
            return
        output.called = event["arguments"]
        self._check(
            not output.arguments or "".join(output.arguments) == output.called,
            "not what the deltas say",
        )
        for key in ("name", "call_id"):
            if key in event and key in output.announced:
                self._check(event[key] == output.announced[key], f"another {key}")

    def _called(self, event: Event) -> _Output | None:
        if output := self._output(event):
            kind = _stream(event).removesuffix("_arguments")
            self._check(output.announced["type"] == kind, f"the item is no {kind}")
            self._check(output.called is None, "the arguments are done")
        return output

    # What is played to a caller

    def _play_started(self, event: Event) -> None:
        self._check(not self._streamed, "where audio comes in events")
        response = self._responses.get(event["response_id"])
        if response is None:
            self._check(not self._whole, "the response was not created")
            return
        self._check(response.played is None, "for the second time")
        parts = any(output.parts for output in response.outputs.values())
        self._check(parts, "before there was a part")
        response.played = "started"

    def _play_ended(self, event: Event) -> None:
        response = self._responses.get(event["response_id"])
        if response is None:
            self._check(not self._whole, "the response was not created")
            return
        stopped = event["type"].endswith("stopped")
        self._check(response.played == "started" or not stopped, "it does not play")
        self._check(response.played != "ended", "for the second time")
        self._check(response.done or not stopped, "more is being generated")
        response.played = "ended"

    # Tools of other servers

    def _list_began(self, event: Event) -> None:
        self._check(event["item_id"] not in self._mcp, "for the second time")
        self._mcp[event["item_id"]] = "began"

    def _list_ended(self, event: Event) -> None:
        state = self._mcp.get(event["item_id"])
        self._check(state == "began" or not self._whole, f"the listing {state}")
        self._mcp[event["item_id"]] = "ended"

    def _call_began(self, event: Event) -> None:
        self._list_began(event)
        if output := self._output_of(event["item_id"]):
            self._check(output.called is not None, "before its arguments are done")

    def _call_ended(self, event: Event) -> None:
        self._list_ended(event)


def _stream(event: Event) -> str:
    """The middle of a type such as `response.output_text.delta`."""
    return str(event["type"].split(".")[1])


def _whole_of(part: Event) -> str:
    """What a part says, wherever it says it."""
    return str(part.get("transcript", part.get("text", "")))


def _status(item: Event) -> str:
    """How far an item is; some kinds of items have no way to go."""
    return str(item.get("status") or "completed")
