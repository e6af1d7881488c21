"""Takes what happens in calls without making them wait, and writes it in batches."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from offhook.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from offhook.archive.records import CallRecord, RecordingRecord
    from offhook.archive.store import Store
    from offhook.protocol.entries import Entry

T = TypeVar("T")

_log = logging.getLogger(__name__)

# What may wait for a database that is down: some hours of ten calls at once. What comes
# then is not kept, and the log says so once: a call is worth more than its record.
_MOST = 50_000
# No transaction has more: others want to write as well.
_BATCH = 1000


class Writer:
    """An `Observer` of the calls, which keeps them.

    Of a call or recording that changed several times before it is written, only its
    last state is.

    Args:
        hushed: Whether nothing of what is said in a call may be kept, as things are.
        most: How many calls, recordings and entries may wait, each.
    """

    def __init__(
        self,
        hushed: Callable[[CallRecord], bool] = lambda call: False,
        *,
        most: int = _MOST,
    ) -> None:
        self._hushed = hushed
        self._most = most
        self._calls: dict[str, CallRecord] = {}
        self._recordings: dict[str, RecordingRecord] = {}
        self._entries: list[tuple[str, Entry]] = []
        self._lost = 0
        # One writes at a time, or an older state could be written last.
        self._writing = asyncio.Lock()

    def began(self, call: CallRecord) -> None:
        """See `Observer`."""
        self._put(self._calls, call.id, call)

    def told(self, call: CallRecord, entry: Entry) -> None:
        """See `Observer`."""
        self._put(self._calls, call.id, call)
        if self._hushed(call):
            return
        if len(self._entries) < self._most:
            self._entries.append((call.id, entry))
        else:
            self._lose()

    def measured(self, call: CallRecord, statistics: Mapping[str, float]) -> None:
        """See `Observer`."""
        self._put(self._calls, call.id, call)

    def ended(self, call: CallRecord) -> None:
        """See `Observer`."""
        self._put(self._calls, call.id, call)

    def recorded(self, recording: RecordingRecord) -> None:
        """Keep a recording as it is now."""
        self._put(self._recordings, recording.id, recording)

    def forget(self, call_id: str) -> None:
        """Leave out what was said in a call and is not written yet."""
        self._entries = [each for each in self._entries if each[0] != call_id]

    @property
    def waits(self) -> bool:
        """Whether there is something to write."""
        return bool(self._calls or self._entries or self._recordings)

    async def flush(self, store: Store) -> None:
        """Write all that waits.

        Cancelled or failed, what was not written waits on.

        Raises:
            ServerError: The store cannot be reached.
        """
        async with self._writing:
            while self.waits:
                await self._write(store)
            self._lost = 0

    async def _write(self, store: Store) -> None:
        calls, self._calls = self._calls, {}
        recordings, self._recordings = self._recordings, {}
        entries, self._entries = self._entries[:_BATCH], self._entries[_BATCH:]
        left = [_Batch(list(calls.values()), entries, list(recordings.values()))]
        try:
            while left:
                await self._try(store, left)
        finally:
            for batch in left:
                # Newer states win.
                self._calls = {call.id: call for call in batch.calls} | self._calls
                waiting = {each.id: each for each in batch.recordings}
                self._recordings = waiting | self._recordings
            self._entries = [e for batch in left for e in batch.entries] + self._entries

    async def _try(self, store: Store, left: list[_Batch]) -> None:
        """Write the first of some batches, or part it."""
        batch = left[0]
        try:
            await store.write(*batch)
        except ServerError:
            raise
        except Exception as error:
            # Something in it is not what a database takes: alone, it harms no other.
            left[:1] = batch.parts()
            if left[:1] != [batch]:
                return
            _log.error("Not kept: %s", type(error).__name__)
        del left[0]

    def _put(self, waiting: dict[str, T], key: str, record: T) -> None:
        if key in waiting or len(waiting) < self._most:
            waiting[key] = record
        else:
            self._lose()

    def _lose(self) -> None:
        self._lost += 1
        if self._lost == 1:
            _log.error("The store is down for too long: calls are not kept any more")


class _Batch(NamedTuple):
    calls: list[CallRecord]
    entries: list[tuple[str, Entry]]
    recordings: list[RecordingRecord]

    def parts(self) -> list[_Batch]:
        """Make a batch of each thing, in an order in which they can be written."""
        return [
            *(_Batch([call], [], []) for call in self.calls),
            *(_Batch([], [entry], []) for entry in self.entries),
            *(_Batch([], [], [recording]) for recording in self.recordings),
        ]
