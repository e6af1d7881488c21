"""Drives an endpoint by hand and keeps a record of what it sent."""

from __future__ import annotations

import base64
import itertools
from typing import Any

from offhook.protocol.effects import (
    Abandon,
    CallTool,
    Generate,
    Listen,
    ListTools,
    Recognise,
    Reply,
    Send,
)
from offhook.protocol.endpoint import Endpoint
from offhook.protocol.session_config import effective
from tests.official import problems
from tests.official_order import Order

Event = dict[str, Any]
SPEECH_MS = 640
SECOND = b"\1\0" * 24000


class Driver:
    """An endpoint and the shell around it, one step at a time."""

    def __init__(self, *, playout: bool = False, session: Event | None = None) -> None:
        numbers = itertools.count(1)
        self.endpoint = Endpoint(
            session or effective("sess_1", expires_at=3600, model=None),
            playout=playout,
            make_id=lambda prefix: f"{prefix}_{next(numbers)}",
        )
        self.sent: list[Event] = []
        self.order = Order(whole=True)
        self.turns: list[Recognise] = []
        self.answers: list[Generate] = []
        self.abandoned: list[str] = []
        self.lists: list[ListTools] = []
        self.calls: list[CallTool] = []
        self._ms = 0

    def drain(self) -> list[Event]:
        """Collect what the endpoint wants, and return the new events."""
        new = []
        for effect in self.endpoint.drain():
            match effect:
                case Send(event) | Reply(event):
                    assert problems(event) == [], event
                    self.order.take(event)
                    assert self.order.complaints == [], event
                    new.append(event)
                case Recognise():
                    self.turns.append(effect)
                case Generate():
                    self.answers.append(effect)
                case Abandon(response_id):
                    self.abandoned.append(response_id)
                case ListTools():
                    self.lists.append(effect)
                case CallTool():
                    self.calls.append(effect)
                case Listen():
                    pass
        self.sent += new
        return new

    def receive(self, kind: str, **fields: Any) -> list[Event]:
        """Send a client event."""
        self.endpoint.receive({"type": kind, **fields})
        return self.drain()

    def update(self, **session: Any) -> list[Event]:
        """Send a `session.update`."""
        return self.receive("session.update", session={"type": "realtime", **session})

    def voice(self, ms: int = SPEECH_MS, probability: float = 1.0) -> list[Event]:
        """Let the caller speak, or with a low probability be silent."""
        for _ in range(ms // 32):
            self._ms += 32
            self.endpoint.hear(b"\1\0" * 24 * 32)
            self.endpoint.notice([(self._ms, probability)])
        return self.drain()

    def silence(self, ms: int = 640) -> list[Event]:
        """Let the caller be silent."""
        return self.voice(ms, 0.0)

    def append(self, pcm: bytes) -> list[Event]:
        """Send audio in an event."""
        audio = base64.b64encode(pcm).decode()
        return self.receive("input_audio_buffer.append", audio=audio)

    def heard(self, text: str) -> list[Event]:
        """Give the oldest turn its words."""
        turn = self.turns.pop(0)
        self.endpoint.heard(turn.item_id, turn.attempt, text)
        return self.drain()

    def answer(
        self, text: str, pcm: bytes = SECOND, *, finish: bool = True
    ) -> list[Event]:
        """Make the newest answer."""
        response_id = self.answers[-1].response_id
        self.endpoint.say(response_id, text)
        if pcm:
            self.endpoint.sound(response_id, pcm)
        if finish:
            self.endpoint.finish(response_id)
        return self.drain()

    def call(self, name: str, arguments: str = "{}", *, finish: bool = True) -> Any:
        """Let the newest answer call a tool."""
        response_id = self.answers[-1].response_id
        self.endpoint.call(response_id, name, arguments)
        if finish:
            self.endpoint.finish(response_id)
        return self.drain()

    def play(self, ms: int) -> list[Event]:
        """Let real time pass for the playout."""
        for _ in range(ms // 20):
            self.endpoint.pull(20)
        return self.drain()


def kinds(events: list[Event]) -> list[str]:
    """Return the types, runs of one type folded into one."""
    return [kind for kind, _ in itertools.groupby(e["type"] for e in events)]
