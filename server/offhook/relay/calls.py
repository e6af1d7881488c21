"""The live calls of this process: whose they are, what happens, and how they end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from offhook.errors import NotFound, OffhookError
from offhook.protocol.entries import MOST_ID
from offhook.protocol.journal import Journal
from offhook.relay.observers import Observers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from offhook.archive.records import CallRecord
    from offhook.events import Event
    from offhook.protocol.entries import Entry
    from offhook.relay.observers import Observer

_log = logging.getLogger(__name__)

# Who hears or speaks is connected.
_OF_AUDIO = ("input_audio_buffer.", "output_audio_buffer.", "response.")

HangUp = Callable[[], Awaitable[None]]


class LiveCall:
    """A call that goes on, whatever its path.

    Args:
        record: What is known of it from the beginning.
        grant_id: Of the grant that opened it.
        hang_up: Ends it.
        observers: Are told what happens.
        ended: Called once, when it has ended.

    Attributes:
        record: What is known of it now.
        journal: What has happened in it.
        hung_up: Set when this side has hung up.
        over: Set when it has ended.
        teed: Whether its page sends both sides to be recorded.
        withdraw: Takes the consent to that back, where it is.
    """

    def __init__(
        self,
        record: CallRecord,
        grant_id: str,
        hang_up: HangUp,
        observers: Observers,
        ended: Callable[[], None] | None = None,
    ) -> None:
        self.record = record
        self.journal = Journal()
        self.hung_up = asyncio.Event()
        self.over = asyncio.Event()
        self.teed = False
        self.withdraw: Callable[[], None] | None = None
        self._listeners: tuple[Callable[[Event], None], ...] = ()
        self._session: Event | None = None  # the last that told of it
        self._grant_id = grant_id
        self._hang_up = hang_up
        self._observers = observers
        self._began = time.monotonic()
        self._reason: str | None = None
        self._ended = ended

    @property
    def at_ms(self) -> float:
        """The time since it began."""
        return (time.monotonic() - self._began) * 1000

    def belongs_to(self, grant_id: str) -> bool:
        """Whether this grant opened it."""
        return self._grant_id == grant_id

    def take(self, event: Event) -> None:
        """Note a server event of its model's."""
        match event:
            case {"type": str(kind)} if kind.startswith(_OF_AUDIO):
                self.connected()
            case {
                "type": "session.created" | "session.updated",
                "session": {"model": str(model)},
            }:
                self.record = replace(self.record, model=model[:MOST_ID])
                self._session = event
        self._tell(self.journal.take(event, self.at_ms))
        for hear in self._listeners:
            try:
                hear(event)
            except Exception:
                _log.exception("who listens to call %s failed", self.record.id)

    def listen(self, hear: Callable[[Event], None]) -> Callable[[], None]:
        """Let somebody hear each event that is noted; what it raises is logged.

        Without the session nobody understands the others: it is told at once.

        Returns:
            Ends it.
        """
        if self._session is not None:
            hear(self._session)
        self._listeners += (hear,)

        def end() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not hear)

        return end

    def consented(self, given: bool) -> None:
        """Say what the caller says to being recorded."""
        self.record = replace(self.record, consent=given)

    def mark(self, text: str, **data: object) -> None:
        """Note something of the server's own."""
        self._tell(self.journal.mark(text, self.at_ms, **data))

    def connected(self) -> None:
        """Say that audio can flow."""
        if self.record.connected is None:
            self.record = replace(self.record, connected=time.time())

    def measure(self, statistics: Mapping[str, float]) -> None:
        """Take figures of it, which are added to those that are known."""
        if self.record.ended is None:
            statistics = {**self.record.statistics, **statistics}
            self.record = replace(self.record, statistics=statistics)
            _log.debug("offhook.call.statistics %s: %s", self.record.id, statistics)
            self._observers.measured(self.record, statistics)

    async def hang_up(self, reason: str) -> None:
        """End it; the first reason counts.

        Raises:
            OffhookError: That failed.
        """
        before = self._reason
        self.because(reason)
        try:
            await self._hang_up()
        except NotFound:
            pass  # it has ended by itself in the meantime
        except OffhookError:
            self._reason = before
            raise
        self.hung_up.set()

    def because(self, reason: str) -> None:
        """Say why it is about to end; the first reason counts."""
        self._reason = self._reason or reason

    def begin(self) -> None:
        """Tell the observers of it."""
        self._observers.began(self.record)

    def end(self, reason: str, error: str | None = None) -> None:
        """Say that it has ended, and why if nobody has said so before; once."""
        if self.record.ended is not None:
            return
        self._tell(self.journal.end(self.at_ms))
        seconds = time.monotonic() - self._began
        self.record = replace(
            self.record,
            ended=self.record.began + seconds,
            reason=self._reason or reason,
            error=error,
            usage=self.journal.usage.as_json(),
        )
        self._observers.ended(self.record)
        self.over.set()
        if self._ended:
            self._ended()

    def _tell(self, entries: list[Entry]) -> None:
        if not entries or self.record.ended is not None:
            return
        turns = sum(entry.kind == "turn" for entry in entries)
        self.record = replace(self.record, turns=self.record.turns + turns)
        for entry in entries:
            self._observers.told(self.record, entry)
        if any("first_audio_ms" in entry.data for entry in entries):
            self.measure({"first_audio_ms": median(self.journal.first_audio_ms)})


class Calls:
    """The live calls, each of which has a place (see `limits`).

    Each is known by its grant, so that only its caller can hang it up.

    Args:
        observers: Are told of every call.
    """

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = Observers(observers)
        self._calls: dict[str, LiveCall] = {}

    def __iter__(self) -> Iterator[LiveCall]:
        """Give the live calls, oldest first."""
        return iter(tuple(self._calls.values()))

    def begin(
        self,
        record: CallRecord,
        grant_id: str,
        hang_up: HangUp,
        ended: Callable[[], None] | None = None,
    ) -> LiveCall:
        """Know a call from now on; `ended` is called once, when it has ended."""
        call = LiveCall(record, grant_id, hang_up, self._observers, ended)
        self._calls[record.id] = call
        call.begin()
        return call

    def find(self, call_id: str, grant_id: str) -> LiveCall:
        """Return a call, for the grant that opened it.

        Raises:
            NotFound: It did not, or there is no such call; which of the two is
                nobody's business.
        """
        call = self._calls.get(call_id)
        if call is None or call.hung_up.is_set() or not call.belongs_to(grant_id):
            raise NotFound(
                "No session found for the provided call_id", code="call_id_not_found"
            )
        return call

    def end(self, call: LiveCall, reason: str, error: str | None = None) -> None:
        """Say that a call has ended, and forget it."""
        if self._calls.get(call.record.id) is call:
            del self._calls[call.record.id]
        call.end(reason, error)
