from __future__ import annotations

import pytest

from offhook.errors import InvalidRequest, UpstreamError
from offhook.protocol.server_faults import MALFORMED, malformed, unlisted


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("item"), "a malformed 'some.event': 'item' is missing."),
        (ValueError("no base64"), "a malformed 'some.event': no base64."),
        (TypeError("'int' object"), "of another kind than it should be."),
    ],
)
def test_it_is_told_what_is_malformed(error: Exception, words: str) -> None:
    assert isinstance(error, MALFORMED)
    told = malformed({"type": "some.event", "event_id": "event_1"}, error)
    assert isinstance(told.error, UpstreamError)
    assert str(told.error).endswith(words)
    assert told.error.__cause__ is error
    assert told.event_id == "event_1"


def test_our_own_errors_stay_as_they_are() -> None:
    error = InvalidRequest("It is traced already.")
    told = malformed({"type": "session.created", "event_id": 5}, error)
    assert (told.error, told.event_id) == (error, None)


def test_a_server_without_a_name_is_told_of_too() -> None:
    assert "MCP server 'dice'" in str(unlisted("dice").error)
    assert "an MCP server" in str(unlisted(None).error)
