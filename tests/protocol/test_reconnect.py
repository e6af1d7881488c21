from __future__ import annotations

import pytest

from offhook.errors import (
    HandshakeRefused,
    InvalidRequest,
    SettingsError,
    UpstreamError,
    WireClosed,
)
from offhook.protocol.reconnect import Reconnect


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (WireClosed(1006), True),
        (WireClosed(1001), True),  # OpenAI's hour is over
        (WireClosed(1012), True),
        (WireClosed(1000), False),
        (WireClosed(1008), False),
        (WireClosed(1009), False),
        (WireClosed(4000), False),
        (HandshakeRefused("", http_status=503), True),
        (HandshakeRefused("", http_status=429), True),
        (HandshakeRefused("", http_status=401), False),
        (UpstreamError("unreachable"), True),
        (InvalidRequest("no key"), False),
        (SettingsError("no proxy"), False),
        (LookupError(), False),
    ],
)
def test_only_what_passes_is_worth_another_try(
    failure: Exception, expected: bool
) -> None:
    assert Reconnect().worthwhile(failure, 1) is expected


def test_it_gives_up() -> None:
    tries = [Reconnect(attempts=2).worthwhile(WireClosed(1006), n) for n in (1, 2, 3)]
    assert tries == [True, True, False]


def test_pauses_grow_up_to_the_longest() -> None:
    policy = Reconnect(seconds=0.5, longest=3.0)
    assert [policy.delay(n, 1.0) for n in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert policy.delay(1000, 0.0) == 1.5
