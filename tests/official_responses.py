"""What `official_order` knows of responses, and of what is played of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.official_items import (
    Conversation,
    Event,
    Handlers,
    Notes,
    Output,
    Part,
    status,
    whole_of,
)

_OUTPUT = "output_audio_buffer"
_ENDED = {"completed", "cancelled", "failed", "incomplete"}

# What a part of each type consists of, in the order in which it is done.
_STREAMS = {
    "audio": ("output_audio", "output_audio_transcript"),
    "text": ("output_text",),
}


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
    outputs: dict[str, Output] = field(default_factory=dict)
    done: bool = False
    played: str | None = None


class Responses:
    """The responses of a session, each with what it makes.

    Attributes:
        forbidden: Whether this session has none.
    """

    def __init__(self, notes: Notes, conversation: Conversation) -> None:
        self.forbidden = False
        self._notes = notes
        self._conversation = conversation
        self._responses: dict[str, _Response] = {}
        self._active: str | None = None
        self._ended = 0
        self._limits = 0
        self._streamed = False

    def handlers(self) -> Handlers:
        """Return what takes which event."""
        return {
            "response.created": self._created,
            "response.done": self._finished,
            "rate_limits.updated": self._limited,
            "response.output_item.added": self._output_added,
            "response.output_item.done": self._output_done,
            "response.content_part.added": self._part_added,
            "response.content_part.done": self._part_done,
            **{
                f"response.{stream}.{moment}": handler
                for streams in _STREAMS.values()
                for stream in streams
                for moment, handler in (
                    ("delta", self._stream_delta),
                    ("done", self._stream_done),
                )
            },
            **{
                f"response.{kind}_arguments.{moment}": handler
                for kind in ("function_call", "mcp_call")
                for moment, handler in (
                    ("delta", self._argument_delta),
                    ("done", self._argument_done),
                )
            },
            f"{_OUTPUT}.started": self._play_started,
            f"{_OUTPUT}.stopped": self._play_ended,
            f"{_OUTPUT}.cleared": self._play_ended,
        }

    def settle(self) -> None:
        """Check that nothing is under way."""
        for response_id, response in self._responses.items():
            self._notes.check(response.done, f"{response_id} never ended")
            playing = response.played == "started"
            self._notes.check(not playing, f"{response_id} plays for ever")

    def _response(self, event: Event) -> _Response | None:
        """Find the response that an event is about, which must be in progress."""
        response = self._responses.get(event["response_id"])
        if response is None:
            self._notes.check(not self._notes.whole, "the response was not created")
        elif response.done:
            self._notes.complain("the response is done")
        return response

    def _output(self, event: Event) -> Output | None:
        """Find the item that an event is about, which must be open."""
        response = self._responses.get(event["response_id"])
        output = response.outputs.get(event["item_id"]) if response else None
        if not (output and output.outlives) and self._response(event) is None:
            return None
        if output is None:
            self._notes.complain(f"{event['item_id']} is not part of the response")
            return None
        fine = event["output_index"] == output.index
        self._notes.check(fine, f"output_index is not {output.index}")
        self._notes.check(output.closed is None, "the item is done")
        return output

    def _part(self, event: Event) -> Part | None:
        """Find the part that an event is about, which must be open."""
        if (output := self._output(event)) is None:
            return None
        if event["content_index"] >= len(output.parts):
            self._notes.complain("there is no such part")
            return None
        part = output.parts[event["content_index"]]
        self._notes.check(not part.closed, "the part is done")
        return part

    def _created(self, event: Event) -> None:
        response = event["response"]
        response_id = response["id"]
        self._notes.check(not self.forbidden, "in a transcription session")
        self._notes.check(
            response_id not in self._responses, f"{response_id} for ever new"
        )
        self._notes.check(response["status"] == "in_progress", "not in progress")
        self._notes.check(response["output"] == [], "with output")
        apart = response.get("conversation_id") is None
        if not apart:
            self._notes.check(self._active is None, f"{self._active} still in progress")
            self._active = response_id
        self._responses[response_id] = _Response(apart)

    def _finished(self, event: Event) -> None:
        given = event["response"]
        response = self._responses.get(given["id"])
        if response is None:
            self._notes.check(not self._notes.whole, f"{given['id']} was not created")
            return
        self._notes.check(not response.done, f"{given['id']} for the second time")
        response.done = True
        self._ended += 1
        if self._active == given["id"]:
            self._active = None
        self._notes.check(given["status"] in _ENDED, f"with status {given['status']}")
        apart = given.get("conversation_id") is None
        self._notes.check(
            apart == response.apart, "another conversation than when created"
        )
        made = [output.closed for output in response.outputs.values()]
        # Tools of other servers run after the response that calls them.
        fine = all(o.closed or o.outlives for o in response.outputs.values())
        self._notes.check(fine, "with open items")
        self._notes.check(
            [item["id"] for item in given["output"]] == list(response.outputs),
            "the output is not what was announced",
        )
        for item, closed in zip(given["output"], made, strict=False):
            self._notes.check(
                closed is None
                or item == closed
                or item["id"] in self._conversation.truncated,
                f"{item['id']} differs from its response.output_item.done",
            )
        if given["status"] == "completed":
            ended = (item for item, o in zip(given["output"], made, strict=False) if o)
            fine = all(status(item) == "completed" for item in ended)
            self._notes.check(fine, "completed with an item that is not")

    def _limited(self, _: Event) -> None:
        self._limits += 1
        self._notes.check(
            not self._notes.whole or self._limits <= self._ended, "for no response"
        )

    def _output_added(self, event: Event) -> None:
        item = event["item"]
        if (response := self._response(event)) is None:
            return
        self._notes.check(
            item["id"] not in self._conversation.made,
            f"{item['id']} for the second time",
        )
        index = len(response.outputs)
        self._notes.check(
            event["output_index"] == index, f"output_index is not {index}"
        )
        self._notes.check(
            item.get("status") in (None, "in_progress"), "not in progress"
        )
        self._notes.check(not item.get("content"), "with content")
        # Both SDKs handle a call twice that is announced as a whole.
        if item["type"] in ("function_call", "mcp_call"):
            self._notes.check(item["arguments"] == "", "with arguments")
        output = response.outputs[item["id"]] = Output(index, item)
        self._conversation.made[item["id"]] = output
        if not response.apart:
            self._conversation.due.append(item["id"])

    def _output_done(self, event: Event) -> None:
        item = event["item"]
        if (output := self._output({**event, "item_id": item["id"]})) is None:
            return
        output.closed = item
        self._notes.check(item["type"] == output.announced["type"], "another type")
        if not self._responses[event["response_id"]].apart:
            done = self._conversation.is_done(item["id"])
            self._notes.check(done, "before conversation.item.done")
        self._conversation.complete(item, output)

    # What an item is made of

    def _part_added(self, event: Event) -> None:
        if (output := self._output(event)) is None:
            return
        self._notes.check(
            event["item_id"] not in self._conversation.due,
            "before conversation.item.added",
        )
        index = len(output.parts)
        self._notes.check(
            event["content_index"] == index, f"content_index is not {index}"
        )
        self._notes.check(not whole_of(event["part"]), "with content")
        output.parts.append(Part(event["part"]["type"]))

    def _part_done(self, event: Event) -> None:
        if (part := self._part(event)) is None:
            return
        part.closed = True
        self._notes.check(
            event["part"]["type"] == part.kind, f"the part is of {part.kind}"
        )
        self._notes.check(
            len(part.done) == len(_STREAMS[part.kind]), "with open streams"
        )
        self._notes.check(
            whole_of(event["part"]) == part.said, "not what the deltas say"
        )

    def _stream_delta(self, event: Event) -> None:
        stream = _stream(event)
        if (part := self._part(event)) is None:
            return
        self._notes.check(stream in _STREAMS[part.kind], f"in a part of {part.kind}")
        self._notes.check(stream not in part.done, "it was done")
        if stream == "output_audio":
            self._streamed = True
        else:
            part.words.append(event["delta"])

    def _stream_done(self, event: Event) -> None:
        stream = _stream(event)
        if (part := self._part(event)) is None:
            return
        next_one = _STREAMS[part.kind][len(part.done) :][:1]
        self._notes.check(next_one == (stream,), f"{next_one} is to be done first")
        part.done.append(stream)
        if stream != "output_audio":
            self._notes.check(whole_of(event) == part.said, "not what the deltas say")

    def _argument_delta(self, event: Event) -> None:
        if output := self._called(event):
            output.arguments.append(event["delta"])

    def _argument_done(self, event: Event) -> None:
        if (output := self._called(event)) is None:
            return
        output.called = event["arguments"]
        self._notes.check(
            not output.arguments or "".join(output.arguments) == output.called,
            "not what the deltas say",
        )
        for key in ("name", "call_id"):
            if key in event and key in output.announced:
                self._notes.check(event[key] == output.announced[key], f"another {key}")

    def _called(self, event: Event) -> Output | None:
        if output := self._output(event):
            kind = _stream(event).removesuffix("_arguments")
            self._notes.check(
                output.announced["type"] == kind, f"the item is no {kind}"
            )
            self._notes.check(output.called is None, "the arguments are done")
        return output

    # What is played to a caller

    def _play_started(self, event: Event) -> None:
        self._notes.check(not self._streamed, "where audio comes in events")
        response = self._responses.get(event["response_id"])
        if response is None:
            self._notes.check(not self._notes.whole, "the response was not created")
            return
        self._notes.check(response.played is None, "for the second time")
        parts = any(output.parts for output in response.outputs.values())
        self._notes.check(parts, "before there was a part")
        response.played = "started"

    def _play_ended(self, event: Event) -> None:
        response = self._responses.get(event["response_id"])
        if response is None:
            self._notes.check(not self._notes.whole, "the response was not created")
            return
        stopped = event["type"].endswith("stopped")
        self._notes.check(
            response.played == "started" or not stopped, "it does not play"
        )
        self._notes.check(response.played != "ended", "for the second time")
        self._notes.check(response.done or not stopped, "more is being generated")
        response.played = "ended"


def _stream(event: Event) -> str:
    """The middle of a type such as `response.output_text.delta`."""
    return str(event["type"].split(".")[1])
