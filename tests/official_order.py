"""The order of server events, as recorded traffic of OpenAI has it.

A model says what one event may look like; this says which may follow which. It was
drawn from recordings, and from what the official SDKs wait for: they match events by
their ids, so ids must agree, and each thing that opens must close exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.official_items import Conversation, Event, Handlers, Notes
from tests.official_responses import Responses

if TYPE_CHECKING:
    from collections.abc import Iterable

_INPUT = "input_audio_buffer"
_HEARD = "conversation.item.input_audio_transcription"


def disorder(events: Iterable[Event], *, settled: bool = False) -> list[str]:
    """List what one connection received out of order.

    Args:
        events: All that it received. If `session.created` is not the first, it has
            joined late, and may refer to what was before.
        settled: Whether it was quiet at the end, so that all that opened has closed.
    """
    order = Order()
    for event in events:
        order.take(event)
    if settled:
        order.settle()
    return order.complaints


class Order:
    """Takes the events of one connection, and notes what is wrong about them.

    Args:
        whole: Whether the first event is the first of the session, even if it is no
            `session.created`.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self._notes = notes = Notes(whole=whole)
        self._event_ids: set[str] = set()
        self._conversation = conversation = Conversation(notes)
        self._hearing = _Hearing(notes, conversation)
        self._responses = Responses(notes, conversation)
        self._servers = _Servers(notes, conversation)
        self._handlers: Handlers = {
            "session.created": self._session_created,
            **conversation.handlers(),
            **self._hearing.handlers(),
            **self._responses.handlers(),
            **self._servers.handlers(),
        }

    @property
    def complaints(self) -> list[str]:
        """What is wrong so far, in order."""
        return self._notes.complaints

    def take(self, event: Event) -> None:
        """Take the next event."""
        self._notes.turn_to(event["type"])
        # The one event that may lack an id is none of ours.
        if (event_id := event.get("event_id")) is not None:
            again = event_id in self._event_ids
            self._notes.check(not again, f"event_id {event_id} was there before")
            self._event_ids.add(event_id)
        if handler := self._handlers.get(event["type"]):
            handler(event)

    def settle(self) -> None:
        """Take note that nothing more comes."""
        self._notes.turn_to("the end")
        self._responses.settle()
        self._hearing.settle()
        self._conversation.settle()
        self._servers.settle()

    def _session_created(self, event: Event) -> None:
        self._notes.check(self._notes.at == 0, "a greeting in the middle")
        self._notes.whole |= self._notes.at == 0
        self._responses.forbidden = event["session"]["type"] == "transcription"


@dataclass
class _Turn:
    """A turn of the caller that is open."""

    item_id: str
    start_ms: int
    stopped: bool = False


class _Hearing:
    """What the caller says, and its words."""

    def __init__(self, notes: Notes, conversation: Conversation) -> None:
        self._notes = notes
        self._conversation = conversation
        self._turn: _Turn | None = None
        self._words: dict[str, list[str]] = {}
        self._written: set[str] = set()

    def handlers(self) -> Handlers:
        """Return what takes which event."""
        return {
            f"{_INPUT}.speech_started": self._started,
            f"{_INPUT}.speech_stopped": self._stopped,
            f"{_INPUT}.committed": self._committed,
            f"{_INPUT}.cleared": lambda _: self._open(None),
            f"{_INPUT}.timeout_triggered": self._timed_out,
            f"{_HEARD}.delta": self._heard_some,
            f"{_HEARD}.completed": self._heard_all,
            f"{_HEARD}.failed": self._heard_all,
        }

    def settle(self) -> None:
        """Check that nothing is under way."""
        waits = self._turn is not None and self._turn.stopped
        self._notes.check(not waits, "a turn was not committed")
        for item_id in self._words.keys() - self._written:
            gone = self._conversation.is_gone(item_id)
            self._notes.check(gone, f"the words of {item_id} were never completed")

    def _open(self, turn: _Turn | None) -> None:
        self._turn = turn
        self._conversation.open_turn = turn.item_id if turn else None

    def _started(self, event: Event) -> None:
        self._notes.check(self._turn is None, "the turn before is still open")
        self._open(_Turn(event["item_id"], event["audio_start_ms"]))

    def _stopped(self, event: Event) -> None:
        turn = self._turn
        if turn is None:
            self._notes.check(not self._notes.whole, "no speech has started")
            return
        self._notes.check(not turn.stopped, "for the second time")
        self._notes.check(event["item_id"] == turn.item_id, "not the item that started")
        self._notes.check(event["audio_end_ms"] >= turn.start_ms, "before it started")
        turn.stopped = True

    def _committed(self, event: Event) -> None:
        item_id, committed = event["item_id"], self._conversation.committed
        if self._turn:
            mine = item_id == self._turn.item_id
            self._notes.check(mine, "not the item that was spoken")
        self._open(None)
        self._notes.check(item_id not in committed, f"{item_id} was committed before")
        committed[item_id] = event.get("previous_item_id")
        self._conversation.due.append(item_id)

    def _timed_out(self, event: Event) -> None:
        self._notes.check(self._turn is None, "while the caller speaks")
        forward = event["audio_end_ms"] >= event["audio_start_ms"]
        self._notes.check(forward, "backwards")
        self._open(_Turn(event["item_id"], event["audio_start_ms"]))

    def _heard_some(self, event: Event) -> None:
        self._heard_of(event["item_id"])
        words = self._words.setdefault(event["item_id"], [])
        words.append(event.get("delta") or "")

    def _heard_all(self, event: Event) -> None:
        self._heard_of(event["item_id"])
        self._written.add(event["item_id"])
        deltas = self._words.get(event["item_id"])
        if deltas is not None and "transcript" in event:
            same = "".join(deltas).strip() == event["transcript"].strip()
            self._notes.check(same, "not what the deltas say")

    def _heard_of(self, item_id: str) -> None:
        self._notes.check(item_id not in self._written, f"{item_id} was complete")
        # Words may come while the caller still speaks.
        if item_id != self._conversation.open_turn:
            self._conversation.expect(item_id)


class _Servers:
    """The lists and the calls of tools that other servers have."""

    def __init__(self, notes: Notes, conversation: Conversation) -> None:
        self._notes = notes
        self._conversation = conversation
        self._running: dict[str, bool] = {}

    def handlers(self) -> Handlers:
        """Return what takes which event."""
        return {
            "mcp_list_tools.in_progress": self._began,
            "mcp_list_tools.completed": self._ended,
            "mcp_list_tools.failed": self._ended,
            "response.mcp_call.in_progress": self._began,
            "response.mcp_call.completed": self._ended,
            "response.mcp_call.failed": self._failed,
        }

    def settle(self) -> None:
        """Check that nothing is under way."""
        for item_id, running in self._running.items():
            self._notes.check(not running, f"{item_id} is in progress for ever")

    def _began(self, event: Event) -> None:
        item_id = event["item_id"]
        self._notes.check(item_id not in self._running, "for the second time")
        self._running[item_id] = True
        if output := self._conversation.made.get(item_id):
            done = output.called is not None
            self._notes.check(done, "before its arguments are done")

    def _failed(self, event: Event) -> None:
        # A call that nobody approves fails before it begins.
        self._running.setdefault(event["item_id"], True)
        self._ended(event)

    def _ended(self, event: Event) -> None:
        running = self._running.get(event["item_id"], not self._notes.whole)
        self._notes.check(running, "it was not in progress")
        self._running[event["item_id"]] = False
