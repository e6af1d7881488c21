from __future__ import annotations

import json

import pytest

from offhook.errors import HandshakeRefused, UpstreamError
from offhook.wire.refusal import refusal


def refused(
    status: int, body: object = None, retry_after: str | None = None
) -> HandshakeRefused:
    return refusal(status, json.dumps(body).encode(), retry_after, str)


@pytest.mark.parametrize(
    ("status", "code", "action"),
    [
        (401, "upstream_unauthorized", "check the API key"),
        (403, "upstream_unauthorized", "check the API key"),
        (404, "upstream_rejected", "check the URL"),
        (429, "upstream_rate_limited", "try again later"),
        (302, "upstream_redirected", "use the URL"),
        (500, "upstream_failed", "try again later"),
        (503, "upstream_failed", "try again later"),
    ],
)
def test_each_status_has_a_code_and_an_action(
    status: int, code: str, action: str
) -> None:
    error = refused(status)
    assert isinstance(error, UpstreamError)
    assert (error.http_status, error.code) == (status, code)
    assert action in str(error)
    assert "it gave no reason" in str(error)


def test_what_it_means_to_our_callers() -> None:
    assert refused(401).status == 502
    assert refused(429, retry_after="7").status == 503
    assert refused(429, retry_after="7").retry_after == "7"
    assert refused(429, retry_after="7" * 65).retry_after is None


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "No such model.", "code": "model_not_found"}},
        {"error": "No such model."},
        {"message": "No such model.", "statusCode": 404},
    ],
)
def test_the_servers_own_words_are_told(body: object) -> None:
    assert "(404): No such model. What" in str(refused(404, body))


@pytest.mark.parametrize(
    "body", [[], 7, None, {"error": None}, {"error": {"message": 3}}, {"detail": "x"}]
)
def test_other_bodies_say_nothing(body: object) -> None:
    assert "it gave no reason" in str(refused(400, body))


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_so_do_those_that_are_not_json(body: bytes) -> None:
    assert "it gave no reason" in str(refusal(400, body, None, str))


def test_keys_are_taken_out_before_the_cut() -> None:
    body = json.dumps({"message": "x" * 290 + " hunter2hunter2"}).encode()
    error = refusal(401, body, None, lambda text: text.replace("hunter2", "*"))
    assert "hunter" not in str(error)
