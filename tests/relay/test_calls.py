from __future__ import annotations

from functools import partial

import pytest

from offhook.archive.records import CallRecord
from offhook.errors import NotFound
from offhook.protocol.entries import Entry
from offhook.relay.calls import Calls
from tests.witness import Witness

pytestmark = pytest.mark.anyio


async def hang_up() -> None:
    pass


def record(call_id: str = "rtc_1") -> CallRecord:
    return CallRecord(call_id, "support", "direct", 1_000.0)


def test_a_call_belongs_to_its_grant_until_it_ends() -> None:
    calls = Calls()
    ended: list[str] = []
    call = calls.begin(record(), "grant", hang_up, partial(ended.append, "rtc_1"))
    assert calls.find("rtc_1", "grant") is call
    assert [*calls] == [call]
    with pytest.raises(NotFound) as error:
        calls.find("rtc_1", "stranger")
    assert (error.value.status, error.value.code) == (404, "call_id_not_found")
    assert ended == []
    calls.end(call, "caller")
    calls.end(call, "caller")
    assert ended == ["rtc_1"]
    with pytest.raises(NotFound):
        calls.find("rtc_1", "grant")
    assert [*calls] == []


async def test_a_call_is_told_from_its_beginning_to_its_end() -> None:
    witness = Witness()
    calls = Calls([witness])
    call = calls.begin(record(), "grant", hang_up)
    assert witness.calls == [record()]
    text = {"type": "input_text", "text": "Hello"}
    item = {"type": "message", "id": "i", "role": "user", "content": [text]}
    call.take({"type": "conversation.item.added", "item": item})
    call.mark("seen", what="x")
    call.take({"type": "session.updated", "session": {"model": "gpt-realtime-2.1"}})
    assert call.record.connected is None
    call.take({"type": "input_audio_buffer.speech_started", "item_id": "a"})
    assert call.record.connected is not None
    call.measure({"packets": 3.0})
    call.measure({"lost": 1.0})
    calls.end(call, "caller")
    calls.end(call, "again")
    call.mark("too late")
    [told, mark, _] = witness.entries
    assert (told.who, told.text) == ("caller", "Hello")
    assert isinstance(mark, Entry)
    assert (mark.text, mark.data) == ("seen", {"what": "x"})
    [ended] = witness.ended_calls
    assert ended.ended is not None
    assert ended.connected is not None
    assert ended.ended >= ended.began
    assert (ended.reason, ended.turns, ended.model) == ("caller", 2, "gpt-realtime-2.1")
    assert ended.statistics == {"packets": 3.0, "lost": 1.0}
    assert ended.usage["responses"] == 0


async def test_who_hangs_up_first_says_why() -> None:
    ended: list[str] = []

    async def note() -> None:
        ended.append("hung up")

    witness = Witness()
    calls = Calls([witness])
    call = calls.begin(record(), "grant", note)
    await call.hang_up("guard")
    assert ended == ["hung up"]
    assert call.hung_up.is_set()
    calls.end(call, "caller")
    assert witness.ended_calls[0].reason == "guard"


async def test_who_listens_hears_each_event_and_harms_nobody() -> None:
    heard: list[str] = []
    call = Calls().begin(record(), "grant", hang_up)

    def fail(event: dict[str, str]) -> None:
        raise LookupError(event)

    call.listen(fail)
    end = call.listen(lambda event: heard.append(event["type"]))
    call.take({"type": "response.created"})
    end()
    call.take({"type": "response.done"})
    assert heard == ["response.created"]
    assert not call.over.is_set()
    call.end("caller")
    assert call.over.is_set()


def test_a_call_says_what_its_caller_agreed_to() -> None:
    call = Calls().begin(record(), "grant", hang_up)
    assert call.record.consent is None
    call.consented(True)
    assert call.record.consent is True


async def test_who_begins_to_listen_late_knows_the_session() -> None:
    call = Calls().begin(record(), "grant", hang_up)
    for model in ("first", "second"):
        call.take({"type": "session.updated", "session": {"model": model}})
    heard: list[object] = []
    call.listen(heard.append)
    assert heard == [{"type": "session.updated", "session": {"model": "second"}}]
