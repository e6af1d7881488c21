from __future__ import annotations

import pytest

from offhook.errors import InvalidRequest
from offhook.wire.handshake import check, secrets


def test_what_cannot_be_sent_is_refused_without_being_named() -> None:
    check({"Authorization": "Bearer sk-1"}, ["realtime", "openai-insecure-api-key.sk"])
    with pytest.raises(InvalidRequest, match="'Authorization'") as caught:
        check({"Authorization": "Bearer sk-1\r\nX: hunter2"})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InvalidRequest, match="subprotocol") as caught:
        check({}, ["openai-insecure-api-key.hunter2 "])
    assert "hunter2" not in str(caught.value)


def test_secrets_are_found_wherever_a_handshake_has_them() -> None:
    found = secrets(
        "wss://host/path?model=m&api-key=one",
        {"Authorization": "Bearer three", "X-Other": "public"},
        ["realtime", "openai-insecure-api-key.protocol"],
    )
    assert found == ["Bearer three", "protocol", "three", "one", "one"]
