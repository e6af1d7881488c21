"""The log: plain lines without secrets."""

from __future__ import annotations

import asyncio
import logging

from offhook.errors import redact

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_TIME = "%H:%M:%S"


class Redacting(logging.Formatter):
    """Formats a record and takes the keys out, those in a traceback too."""

    def __init__(self, *secrets: str) -> None:
        """Take the secrets that do not look like keys."""
        super().__init__(_FORMAT, _TIME)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Format without secrets."""
        return redact(super().format(record), *self._secrets)


def _not_cancelled(record: logging.LogRecord) -> bool:
    """Drop what a server logs of requests that its own shutdown cut off."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError)


def log_to_stderr(level: str, *secrets: str) -> None:
    """Send this process's log to standard error, without these secrets.

    For the command line only: a host application has a log of its own.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(Redacting(*secrets))
    handler.addFilter(_not_cancelled)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("offhook").setLevel(level.upper())
