from __future__ import annotations

from typing import Any

import pytest

from offhook.errors import InvalidRequest
from offhook.protocol.client_config import defaults
from offhook.protocol.session_requests import SessionRequests, output_format

Event = dict[str, Any]

PCMU = {"type": "audio/pcmu"}
MINE = {"workflow_name": "mine"}


def asked(*args: Any, joined: bool = False) -> tuple[SessionRequests, list[Event]]:
    """Open a session, and return what is asked of it."""
    requests = SessionRequests()
    events, warnings = requests.open(*args, joined=joined)
    assert warnings == []
    return requests, [event["session"] for event in events]


def created(requests: SessionRequests, tracing: Any = None) -> list[Event]:
    session = {"type": "realtime", "tracing": tracing}
    return requests.take({"type": "session.created", "session": session})


@pytest.mark.parametrize("config", [None, {}])
def test_what_is_not_said_is_as_in_javascript(config: Event | None) -> None:
    assert asked(config, None)[1] == [defaults()]
    assert asked(config, "gpt-realtime")[1] == [{**defaults(), "model": "gpt-realtime"}]


def test_what_transcribes_gets_no_defaults() -> None:
    requests, sent = asked({"type": "transcription"}, "gpt-realtime")
    assert sent == [{"type": "transcription"}]
    assert created(requests) == []


def test_a_call_keeps_its_settings() -> None:
    requests, sent = asked(None, "gpt-realtime", joined=True)
    assert sent == []
    assert created(requests) == []
    requests, sent = asked({"voice": "ash"}, "gpt-realtime", joined=True)
    assert sent == [{"type": "realtime", "audio": {"output": {"voice": "ash"}}}]
    assert created(requests) == []
    requests, _ = asked({"tracing": "auto"}, None, joined=True)
    assert created(requests) != []


@pytest.mark.parametrize(
    ("config", "known", "sent"),
    [
        ({}, None, "auto"),
        ({"tracing": None}, "auto", None),
        ({"tracing": {"workflowName": "mine"}}, None, MINE),
        ({"providerData": {"tracing": MINE}}, "auto", MINE),
        ({}, MINE, "auto"),
    ],
)
def test_how_a_session_is_traced_goes_by_itself(
    config: Event, known: Any, sent: Any
) -> None:
    requests, [session] = asked(config, None)
    assert "tracing" not in session
    [event] = created(requests, known)
    assert event["type"] == "session.update"
    assert event["session"] == {"type": "realtime", "tracing": sent}
    told = {"type": "session.updated", "session": event["session"]}
    assert requests.take(told) == []


def test_how_a_session_is_traced_cannot_change() -> None:
    requests, _ = asked({"tracing": MINE}, None)
    with pytest.raises(InvalidRequest, match="traced already"):
        created(requests, {"workflow_name": "theirs"})
    assert created(requests, MINE) == []
    [event], warnings = requests.change({"tracing": None, "instructions": "Hi"})
    assert "tracing" not in event["session"]
    assert warnings == ["'tracing' is ignored: it is set as the session begins."]
    assert requests.change({"tracing": MINE})[1] == []


def test_a_change_keeps_what_it_does_not_name() -> None:
    requests, _ = asked({"outputAudioFormat": "g711_ulaw", "tools": [{}]}, None)
    [event], _ = requests.change({"instructions": "Be brief.", "tools": []})
    session = event["session"]
    assert (session["instructions"], session["tools"]) == ("Be brief.", [])
    assert output_format(session) == PCMU
    assert requests.again() == [event]
    asked_anew, _ = requests.open({}, None, joined=False)
    assert asked_anew == [{"type": "session.update", "session": defaults()}]


def test_another_session_is_asked_for_the_same() -> None:
    assert SessionRequests().again() == []
    requests, [session] = asked({"voice": "ash"}, None)
    assert requests.again() == [{"type": "session.update", "session": session}]
    assert len(created(requests)) == len(created(requests)) == 1


def test_the_session_is_what_the_server_says() -> None:
    requests, _ = asked({"outputAudioFormat": "g711_alaw"}, None)
    assert requests.output_format is None
    assert not requests.interrupts
    heard = {"turn_detection": {"interrupt_response": True}}
    session = {"audio": {"input": heard, "output": {"format": PCMU}}}
    requests.take({"type": "session.updated", "session": session})
    assert requests.output_format == PCMU
    assert requests.interrupts
    requests.take({"type": "session.updated", "session": {"audio": {"input": None}}})
    assert not requests.interrupts
