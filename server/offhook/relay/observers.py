"""Who is told of the calls: the store, the metrics, and what an application adds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from offhook.archive.records import CallRecord
    from offhook.protocol.entries import Entry

_log = logging.getLogger(__name__)


class Observer(Protocol):
    """Is told of every call of this process, on the event loop.

    Every method returns at once: what takes time is done elsewhere. What one raises is
    logged, and the call goes on.
    """

    def began(self, call: CallRecord) -> None:
        """A call was accepted."""

    def told(self, call: CallRecord, entry: Entry) -> None:
        """Something happened in it."""

    def measured(self, call: CallRecord, statistics: Mapping[str, float]) -> None:
        """These are its figures up to now, by name."""

    def ended(self, call: CallRecord) -> None:
        """It has ended; the record is whole now."""


class Observers:
    """Several observers, as one."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = tuple(observers)

    def began(self, call: CallRecord) -> None:
        """See `Observer`."""
        self._each(lambda observer: observer.began(call))

    def told(self, call: CallRecord, entry: Entry) -> None:
        """See `Observer`."""
        self._each(lambda observer: observer.told(call, entry))

    def measured(self, call: CallRecord, statistics: Mapping[str, float]) -> None:
        """See `Observer`."""
        self._each(lambda observer: observer.measured(call, statistics))

    def ended(self, call: CallRecord) -> None:
        """See `Observer`."""
        self._each(lambda observer: observer.ended(call))

    def _each(self, tell: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            try:
                tell(observer)
            except Exception:
                _log.exception("an observer of the calls failed")
