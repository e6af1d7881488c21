from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from offhook.archive.records import CallRecord
from offhook.protocol.entries import Entry
from offhook.relay.observers import Observers
from tests.witness import Witness

if TYPE_CHECKING:
    import pytest

CALL = CallRecord("rtc_1", "support", "direct", 1.0)
ENTRY = Entry("turn", "caller", 0, 1, "Hello")


class Broken(Witness):
    def told(self, call: CallRecord, entry: Entry) -> None:
        raise RuntimeError("no room")


def test_all_are_told_even_if_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    broken, witness = Broken(), Witness()
    observers = Observers([broken, witness])
    observers.began(CALL)
    with caplog.at_level(logging.ERROR):
        observers.told(CALL, ENTRY)
    observers.measured(CALL, {"x": 1.0})
    observers.ended(CALL)
    assert "no room" in caplog.text
    assert (broken.calls, witness.calls) == ([CALL], [CALL])
    assert witness.entries == [ENTRY]
    assert witness.statistics == [{"x": 1.0}]
    assert (broken.ended_calls, witness.ended_calls) == ([CALL], [CALL])
