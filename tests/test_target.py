from __future__ import annotations

import pytest

from offhook.target import target_of

MINT = "http://h:1/v1/realtime/client_secrets"


@pytest.mark.parametrize(
    ("given", "url", "mint"),
    [
        ("http://h:1/", "http://h:1/v1/realtime/calls", MINT),
        ("http://h:1/v1", "http://h:1/v1/realtime/calls", MINT),
        ("http://h:1/v1/realtime/calls", "http://h:1/v1/realtime/calls", MINT),
        (
            "https://h/voice",
            "https://h/voice/v1/realtime/calls",
            "https://h/voice/v1/realtime/client_secrets",
        ),
        ("ws://h:1", "ws://h:1/v1/realtime", MINT),
        ("ws://h:1/v1/realtime?model=m", "ws://h:1/v1/realtime?model=m", MINT),
    ],
)
def test_a_url_is_completed(given: str, url: str, mint: str) -> None:
    target = target_of(given)
    assert (target.url, target.mint) == (url, mint)
    assert target.is_socket == given.startswith("ws")
