"""How much a caller may send over its data channel: no honest one comes near it."""

from __future__ import annotations

import time

from offhook.media.bucket import Bucket

_MAX_BYTES = 256 * 1024
# A conversation that is told again after a reconnect is the burst.
_EVENTS_PER_SECOND, _EVENTS_AT_ONCE = 200, 2000
_BYTES_PER_SECOND, _BYTES_AT_ONCE = 2 * 2**20, 16 * 2**20
# Only the first is used; each costs memory until the end of the call.
_MAX_CHANNELS = 16


class Intake:
    """Counts what one caller sends."""

    def __init__(self) -> None:
        self._channels = 0
        self._events = Bucket(_EVENTS_PER_SECOND, _EVENTS_AT_ONCE)
        self._bytes = Bucket(_BYTES_PER_SECOND, _BYTES_AT_ONCE)

    def channel(self) -> str | None:
        """Count a channel; return what is wrong with it."""
        self._channels += 1
        if self._channels > _MAX_CHANNELS:
            return f"opened more than {_MAX_CHANNELS} data channels"
        return None

    def event(self, size: int) -> str | None:
        """Count an event of so many characters; return what is wrong with it."""
        now = time.monotonic()
        if size > _MAX_BYTES:
            return f"sent an event of more than {_MAX_BYTES // 1024} KiB"
        if not self._events.take(now):
            return f"sent more than {_EVENTS_PER_SECOND} events per second"
        if not self._bytes.take(now, size):
            return f"sent more than {_BYTES_PER_SECOND // 2**20} MiB per second"
        return None
