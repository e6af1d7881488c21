"""What a client asks of its session, and what the server says that the session is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest
from offhook.protocol.client_config import defaults, session_update

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offhook.events import Event
    from offhook.protocol.session_config import Session

# In place of a tracing: leave it alone.
_UNASKED: Any = ...


class SessionRequests:
    """Makes the `session.update` events of a client.

    How a session is traced goes in an event of its own, once, when there is a session:
    it cannot be changed afterwards, and a later update may not even repeat it.

    Attributes:
        effective: The session as the server last told it.
    """

    def __init__(self) -> None:
        self.effective: Session = {}
        self._config: Session | None = None
        self._tracing = _UNASKED

    @property
    def output_format(self) -> Any:
        """How the session's answers come, if it is known."""
        return output_format(self.effective)

    @property
    def interrupts(self) -> bool:
        """Whether the server itself cancels an answer that is spoken over."""
        heard = (self.effective.get("audio") or {}).get("input") or {}
        return bool((heard.get("turn_detection") or {}).get("interrupt_response"))

    def open(
        self, config: Mapping[str, Any] | None, model: str | None, *, joined: bool
    ) -> tuple[list[Event], list[str]]:
        """Begin: see `Client.open`; it also returns warnings."""
        self._config, self._tracing = None, _UNASKED
        if joined and config is None:
            return [], []
        if joined:
            session, warnings = session_update(config or {})
        else:
            session, warnings = session_update(config or {}, model, base=defaults())
        tracing = session.pop("tracing", _UNASKED if joined else "auto")
        if session["type"] == "realtime":
            self._tracing = tracing
        self._config = session
        return [_update(session)], warnings

    def change(self, config: Mapping[str, Any]) -> tuple[list[Event], list[str]]:
        """Ask for another configuration: see `Client.configure`."""
        session, warnings = session_update(config, base=self._config)
        if session.pop("tracing", self._tracing) != self._tracing:
            warnings.append("'tracing' is ignored: it is set as the session begins.")
        self._config = session
        given, _ = session_update(config)
        if "voice" not in ((given.get("audio") or {}).get("output") or {}):
            session = _voiceless(session)
        return [_update(session)], warnings

    def again(self) -> list[Event]:
        """Ask for the same in the next session."""
        return [] if self._config is None else [_update(self._config)]

    def take(self, event: Event) -> list[Event]:
        """Take a `session.created` or `session.updated`; return what to send.

        Raises:
            InvalidRequest: The session is traced in another way than was asked for.
        """
        self.effective = event["session"]
        known = self.effective.get("tracing")
        if event["type"] != "session.created" or self._tracing is _UNASKED:
            return []
        if isinstance(known, dict) and self._tracing != "auto":
            if self._tracing == known:
                return []
            raise InvalidRequest(
                "The session is traced already, which cannot be changed.",
                code="tracing_already_set",
                param="tracing",
            )
        return [_update({"type": "realtime", "tracing": self._tracing})]


def output_format(session: Mapping[str, Any]) -> Any:
    """Return the format of the answers of a session, or of a response."""
    return ((session.get("audio") or {}).get("output") or {}).get("format")


def _voiceless(session: Session) -> Session:
    """Leave out a voice: a session that has spoken must not be asked for one again."""
    audio = session.get("audio") or {}
    output = {k: v for k, v in (audio.get("output") or {}).items() if k != "voice"}
    return {**session, "audio": {**audio, "output": output}}


def _update(session: Session) -> Event:
    return {"type": "session.update", "session": session}
