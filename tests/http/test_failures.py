from __future__ import annotations

import json

from offhook.errors import InvalidRequest, UpstreamError
from offhook.http.failures import answer


def test_an_answer_says_whose_fault_it_is() -> None:
    response = answer(InvalidRequest("no", code="c", param="p"))
    assert response.status_code == 400
    assert json.loads(bytes(response.body)) == {
        "error": {
            "message": "no",
            "type": "invalid_request_error",
            "code": "c",
            "param": "p",
        }
    }
    assert response.headers["cache-control"] == "no-store"
    assert "retry-after" not in response.headers


def test_an_answer_says_when_to_try_again() -> None:
    response = answer(UpstreamError("later", status=503, retry_after="7"))
    assert response.headers["retry-after"] == "7"


def test_a_body_that_was_not_read_ends_the_connection() -> None:
    assert answer(InvalidRequest("", status=413)).headers["connection"] == "close"
    assert "connection" not in answer(InvalidRequest("")).headers
