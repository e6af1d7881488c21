from __future__ import annotations

import asyncio
import logging
import sys

from offhook.relay.telemetry import Redacting, log_to_stderr


def record(message: str, *arguments: object, error: bool = False) -> logging.LogRecord:
    return logging.LogRecord(
        "offhook",
        logging.INFO,
        "",
        0,
        message,
        arguments,
        sys.exc_info() if error else None,
    )


def test_keys_are_taken_out_of_messages_and_tracebacks() -> None:
    formatter = Redacting("a plain secret")
    try:
        raise ValueError("Bearer canary-1 and a plain secret")
    except ValueError:
        line = formatter.format(
            record("key %s, %s", "sk-canary-2", "ek_canary.3", error=True)
        )
    assert "ValueError" in line
    assert "canary" not in line
    assert "plain" not in line


def test_the_log_goes_to_stderr_at_its_level() -> None:
    root, ours = logging.getLogger(), logging.getLogger("offhook")
    before = (root.handlers[:], root.level, ours.level)
    try:
        root.handlers = []
        log_to_stderr("warning", "hidden")
        [handler] = root.handlers
        assert ours.level == logging.WARNING
        assert "hidden" not in handler.format(record("hidden"))
        assert handler.filter(record("x"))
        try:
            raise asyncio.CancelledError
        except asyncio.CancelledError:
            assert not handler.filter(record("cut off", error=True))
    finally:
        root.handlers = before[0]
        root.setLevel(before[1])
        ours.setLevel(before[2])
