from __future__ import annotations

import pytest

from offhook import errors
from offhook.errors import (
    HandshakeRefused,
    MissingExtra,
    OffhookError,
    UpstreamError,
    WireClosed,
    redact,
)


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("InvalidRequest", 400, "invalid_request_error"),
        ("Unauthorized", 401, "invalid_request_error"),
        ("Forbidden", 403, "invalid_request_error"),
        ("NotFound", 404, "invalid_request_error"),
        ("ServerError", 500, "server_error"),
        ("SettingsError", 500, "server_error"),
        ("UpstreamError", 502, "upstream_error"),
    ],
)
def test_each_error_says_whose_fault_it_is(name: str, status: int, kind: str) -> None:
    error = getattr(errors, name)("why", code="c", param="p")
    assert isinstance(error, OffhookError)
    assert error.status == status
    assert error.body() == {
        "error": {"message": "why", "type": kind, "code": "c", "param": "p"}
    }


def test_a_status_belongs_to_one_error_only() -> None:
    assert UpstreamError("", status=504).status == 504
    assert UpstreamError("").status == 502


def test_a_type_may_be_said_by_the_error_itself() -> None:
    assert OffhookError("", type="requests").body()["error"]["type"] == "requests"
    assert OffhookError("").type == "server_error"


def test_a_missing_extra_names_the_command() -> None:
    error = MissingExtra("local", "moonshine_voice")
    assert "pip install 'offhook[local]'" in str(error)


def test_a_refused_handshake_keeps_both_statuses() -> None:
    error = HandshakeRefused("why", http_status=429, status=503, retry_after="7")
    assert (error.http_status, error.status, error.retry_after) == (429, 503, "7")
    assert HandshakeRefused("why", http_status=401).status == 502


def test_a_closed_wire_says_how() -> None:
    error = WireClosed(4001, "key sk-abc expired")
    assert (error.close_code, error.reason) == (4001, "key [redacted] expired")
    assert "(4001: key [redacted] expired)" in str(error)
    assert "(1006)" in str(WireClosed(1006))


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("key sk-proj-a_B-1.", "key [redacted]"),
        ("ek_abc.def.ghi, and", "[redacted], and"),
        ("Authorization: Bearer abc~+/= x", "Authorization: [redacted] x"),
        ("bearer\tabc", "[redacted]"),
        ("a task-force and week_end", "a task-force and week_end"),
        ("nothing", "nothing"),
    ],
)
def test_what_looks_like_a_key_is_redacted(text: str, safe: str) -> None:
    assert redact(text) == safe


def test_a_known_secret_is_redacted_whatever_it_looks_like() -> None:
    assert redact("it is hunter2", "hunter2", "") == "it is [redacted]"
