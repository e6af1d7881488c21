from __future__ import annotations

import json

import pytest

from offhook.errors import Forbidden, InvalidRequest
from offhook.protocol.consent import (
    GIVE,
    RECORD,
    WITHDRAW,
    Consent,
    Record,
    own_event,
    require,
    started,
    stopped,
)

YES, NO = {"type": GIVE}, {"type": WITHDRAW}


@pytest.mark.parametrize("record", ["never", "consent", "always"])
@pytest.mark.parametrize("given", [True, False])
def test_only_a_required_consent_is_required(record: Record, given: bool) -> None:
    require(record, given)


def test_without_a_required_consent_there_is_no_call() -> None:
    require("required", given=True)
    with pytest.raises(Forbidden, match=r'"consent": \{"recording": true\}') as error:
        require("required", given=False)
    assert (error.value.status, error.value.code) == (403, "consent_required")


@pytest.mark.parametrize(
    ("record", "given", "recorded"),
    [
        ("never", True, False),
        ("consent", False, False),
        ("consent", True, True),
        ("required", True, True),
        ("always", False, True),
    ],
)
def test_what_is_recorded_at_first(record: Record, given: bool, recorded: bool) -> None:
    consent = Consent(record, given)
    assert (consent.recorded, consent.withdrawals, consent.over) == (
        recorded,
        0,
        False,
    )


def test_consent_comes_and_goes_during_a_call() -> None:
    consent = Consent("consent", given=False)
    consent.take(YES)
    assert consent.recorded
    consent.take(YES)
    assert (consent.recorded, consent.withdrawals) == (True, 0)
    consent.take(NO)
    assert (consent.recorded, consent.withdrawals, consent.over) == (False, 1, False)
    consent.take(YES)
    assert (consent.recorded, consent.withdrawals) == (True, 1)


def test_a_call_that_needs_consent_ends_with_it() -> None:
    consent = Consent("required", given=True)
    consent.take(NO)
    assert (consent.recorded, consent.withdrawals, consent.over) == (False, 1, True)


@pytest.mark.parametrize(
    ("record", "event"),
    [("never", YES), ("always", NO), ("consent", {"type": "offhook.other"})],
)
def test_what_is_not_the_callers_to_say_is_refused(
    record: Record, event: dict[str, str]
) -> None:
    consent = Consent(record, given=True)
    before = consent.recorded
    with pytest.raises(InvalidRequest) as error:
        consent.take(event)
    assert error.value.code == "invalid_value"
    assert (consent.recorded, consent.withdrawals) == (before, 0)


def test_where_nothing_is_recorded_nothing_is_withdrawn() -> None:
    consent = Consent("never", given=False)
    consent.take(NO)
    assert consent.withdrawals == 0


def test_events_for_the_server_are_told_from_those_for_the_model() -> None:
    assert own_event(json.dumps({**YES, "event_id": "e"})) == {**YES, "event_id": "e"}
    assert own_event(json.dumps(YES).encode()) == YES
    for other in (
        '{"type":"response.create"}',
        '{"type":"response.create","metadata":{"a":"offhook.recording.consent"}}',
        '{"type":"offhook.',
        '["offhook.recording.consent"]',
        '{"type":["offhook.recording.consent"]}',
        b"\xff",
    ):
        assert own_event(other) is None


def test_a_caller_is_told() -> None:
    assert started("rec_1")["type"] == "offhook.recording.started"
    told = stopped("rec_1", deleted=True)
    assert told["type"] == "offhook.recording.stopped"
    assert (told["recording_id"], told["deleted"]) == ("rec_1", True)
    assert told["event_id"].startswith("event_")
    assert set(RECORD) == {"never", "consent", "required", "always"}
