"""Between a caller over WebRTC and a model that a transport leads to.

A caller over WebRTC hears audio beside the events, and is told by
`output_audio_buffer.*` how it is played. The model's audio comes in events (WebSocket,
or a transport of the user's own): it is played from here, and the caller is told so.

Sans-IO: what is to be done gathers in order and comes out of `drain`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from offhook.errors import InvalidRequest
from offhook.events import new_id, parse, serialise
from offhook.protocol.consent import own_event
from offhook.protocol.playout import Playout, Started
from offhook.protocol.policy import visible
from offhook.protocol.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from offhook.errors import OffhookError
    from offhook.events import Event
    from offhook.protocol.policy import Policy
    from offhook.protocol.transport_events import Audio

# Before the caller's channel is open hardly anything is said; of more than this the
# oldest is dropped.
_UNTOLD = 1000
# Before the model is connected a client configures its session, and waits.
_UNSENT = 100
_UNHEARD = "response.output_audio.delta"
_SIDES = ("input", "output")


@dataclass(frozen=True)
class ToCaller:
    """Send this text over the caller's channel."""

    text: str


@dataclass(frozen=True)
class ToModel:
    """Send this client event to the model."""

    event: Event


@dataclass(frozen=True)
class Interrupt:
    """Interrupt the model: what was not heard of its answer is to be forgotten."""


@dataclass(frozen=True)
class ToServer:
    """The caller has this event for the server itself."""

    event: Event


class Position(NamedTuple):
    """How much of an item has been played."""

    item_id: str
    ms: float


Action = ToCaller | ToModel | ToServer | Interrupt


class Bridge:
    """One bridged call.

    Args:
        policy: Judges the events of both sides.
        plays: Whether the model's audio is played from here; otherwise it goes its own
            way, and the model's server tells how it is played.
        narrated: The session of a model that speaks no Realtime API: what it is asked
            for is answered here, and what it tells comes by `narrate`.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        plays: bool = True,
        narrated: Mapping[str, Any] | None = None,
    ) -> None:
        self._policy = policy
        self._plays = plays
        self._narrated = narrated
        self._witness: Callable[[Event], None] | None = None
        self._playout = Playout()
        self._waiting = Waiting()
        self._open = False
        self._connected = False
        self._begun = False  # the caller has been told of the session
        self._untold: deque[ToCaller] = deque(maxlen=_UNTOLD)
        self._unsent: list[Action] = []  # bounded by _UNSENT
        self._notes: deque[str] = deque(maxlen=_UNSENT)
        self._actions: list[Action] = []

    def watch(self, witness: Callable[[Event], None]) -> None:
        """Show somebody the model's events and our own, before the policy."""
        self._witness = witness

    @property
    def waits(self) -> bool:
        """Whether the caller waits for the model, to come or to answer."""
        return not self._connected or bool(self._waiting)

    def drain(self) -> list[Action]:
        """Return what is to be done now, in order."""
        actions, self._actions = self._actions, []
        return actions

    def opened(self) -> None:
        """The caller's channel carries events now."""
        self._open = True
        self._actions += self._untold
        self._untold.clear()

    def connected(self) -> None:
        """The model can be sent events now."""
        self._connected = True
        if self._narrated is not None:
            self._say(self._policy.opened(dict(self._narrated)))
            self._begin()
        self._actions += self._unsent
        self._unsent.clear()

    def fail(self, message: str, code: str = "upstream_error") -> None:
        """Tell the caller why there is no model, or none any more."""
        error = {"type": "server_error", "code": code, "message": message}
        self.tell(
            {"type": "error", "error": {**error, "param": None, "event_id": None}}
        )

    def refuse(self, error: OffhookError, event: Event | None = None) -> None:
        """Tell the caller what is wrong with its event."""
        event_id = (event or {}).get("event_id")
        said = {**error.body()["error"], "event_id": None}
        if isinstance(event_id, str):
            said["event_id"] = event_id
        self.tell({"type": "error", "error": said})

    def narrating(self, narrate: Callable[[Any], list[Event]]) -> Callable[[Any], None]:
        """Take what a transport tells, in the events that are made of it."""

        def take(told: Any) -> None:
            for event in narrate(told):
                self.tell(event)

        return take

    def tell(self, event: Event) -> None:
        """Tell the caller something of our own."""
        self._show(event)
        self._say(_identified(event))

    def note(self, event: Event) -> None:
        """Tell it, too, but not before the session: clients wait for that first."""
        self._show(event)
        if self._begun:
            self._say(_identified(event))
        else:
            self._notes.append(_identified(event))

    def take(self, event: Event) -> None:
        """Take a raw event of the model's."""
        self._show(event)
        if event.get("type") == _UNHEARD:
            return
        verdict = self._policy.from_upstream(serialise(event))
        if verdict.onward is not None:
            self._say(verdict.onward)
            self._begin()

    def audio(self, audio: Audio) -> None:
        """Queue audio of the model's: 24 kHz PCM."""
        self._playout.put(audio.response_id, audio.item_id, audio.data)

    def finished(self, response_id: str) -> None:
        """Say that nothing more will come of a response."""
        self._playout.finish(response_id)

    def interrupted(self) -> None:
        """Play no more of what is queued."""
        told = {cut.response_id: None for cut in self._playout.clear()}
        for response_id in told:
            self._buffer("cleared", response_id)

    def hear(self, frame: str | bytes) -> None:
        """Take what the caller sent over its channel."""
        if (own := own_event(frame)) is not None:
            self._actions.append(ToServer(own))
            return
        verdict = self._policy.from_caller(frame)
        if verdict.back is not None:
            self._say(verdict.back)
        if verdict.onward is None:
            return
        try:
            event = parse(verdict.onward)
        except InvalidRequest as error:
            self.refuse(error)
            return
        match event.get("type"):
            case "output_audio_buffer.clear" if self._plays:
                # Over WebSocket there is no such event.
                self._send(Interrupt())
            case "session.update" if self._narrated is not None:
                session = visible(self._narrated)
                self.tell({"type": "session.updated", "session": session})
            case "session.update":
                self._send(ToModel(_without_formats(event, "session")))
            case "response.create":
                self._send(ToModel(_without_formats(event, "response")))
            case _:
                self._send(ToModel(event))

    def lacks(self, ms: int) -> bool:
        """Whether less than `ms` is there to play of what the model is saying."""
        return self._playout.lacks(ms)

    def pull(self, ms: int) -> tuple[bytes, Position | None]:
        """Return the next milliseconds to play, or less, and how far that gets."""
        pcm, notices = self._playout.pull(ms)
        for notice in notices:
            name = "started" if isinstance(notice, Started) else "stopped"
            self._buffer(name, notice.response_id)
        position = self._playout.position
        return pcm, Position(*position) if pcm and position else None

    def _begin(self) -> None:
        self._begun = True
        while self._notes:
            self._say(self._notes.popleft())

    def _show(self, event: Event) -> None:
        self._waiting.take(event)
        if self._witness:
            self._witness(event)

    def _send(self, action: Action) -> None:
        if self._connected:
            self._actions.append(action)
        elif len(self._unsent) < _UNSENT:
            self._unsent.append(action)
        else:
            self.fail("The model is not there yet: send less.")

    def _buffer(self, name: str, response_id: str) -> None:
        kind = f"output_audio_buffer.{name}"
        self.tell({"type": kind, "response_id": response_id})

    def _say(self, text: str) -> None:
        said = ToCaller(text)
        if self._open:
            self._actions.append(said)
        else:
            self._untold.append(said)


def _identified(event: Event) -> str:
    return serialise({"event_id": new_id("event"), **event})


def _without_formats(event: Event, place: str) -> Event:
    """Leave audio formats out: between us and the model they are ours."""
    wanted: Any = event.get(place)
    audio: Any = wanted.get("audio") if isinstance(wanted, dict) else None
    if not isinstance(audio, dict):
        return event
    kept = {
        side: {key: value for key, value in part.items() if key != "format"}
        if side in _SIDES and isinstance(part, dict)
        else part
        for side, part in audio.items()
    }
    return {**event, place: {**wanted, "audio": kept}}
