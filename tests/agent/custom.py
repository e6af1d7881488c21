"""A transport to something else, as a user may write it."""

from __future__ import annotations

from typing import Any

from offhook.transports.emitter import Emitter


class Fake(Emitter):
    """A transport that only notes what it is to do."""

    def __init__(self) -> None:
        super().__init__()
        self.status = "disconnected"
        self.calls: list[tuple[Any, ...]] = []

    async def connect(self, **_: Any) -> None:
        self.status = "connected"

    async def drain(self) -> None:
        pass

    async def close(self) -> None:
        self.status = "disconnected"

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **named: self.calls.append((name, *args, *named.values()))
