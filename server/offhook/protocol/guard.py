"""Keeps a session as the server set it, where a caller's events cannot be filtered.

On a direct call the caller's channel leads to the upstream, and whatever session it
asks for there it gets. A sideband sees what became of it, and can put it back. What
`permitted.FIXED` names is the server's; the rest a caller may change.

A session that another value is seen in is a try. The official SDKs make one as soon as
they are connected: they send a session of their own. So the first is put back, and the
second ends the call.

Sans-IO: what is to be done comes out of `take`; times are seconds of any clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offhook.events import new_id
from offhook.protocol.permitted import FIXED
from offhook.protocol.shapes import Kind, Shape, picked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offhook.events import Event

# What was put back has to be seen within this.
_PATIENCE_SECONDS = 5.0
# It can be changed only until the model has spoken, so it is asked for by itself.
_VOICE = "audio.output.voice"
_ADDED = ("conversation.item.added", "conversation.item.created")


@dataclass(frozen=True)
class Restore:
    """Send these events: a caller has changed what is not its own.

    Attributes:
        events: Put it back.
        what: The paths of what was changed.
    """

    events: tuple[Event, ...]
    what: tuple[str, ...]


@dataclass(frozen=True)
class Expel:
    """Hang up: a caller has tried again, or what it changed cannot be put back."""

    what: tuple[str, ...]


@dataclass(frozen=True)
class Surrender:
    """Guard no longer: the upstream does not show the session as it was set."""

    what: tuple[str, ...]


Act = Restore | Expel | Surrender


class Guard:
    """Guards one session.

    Args:
        session: As the server set it.

    Attributes:
        deadline: When `late` has to be called; None: never.
    """

    def __init__(self, session: Mapping[str, Any]) -> None:
        self.deadline: float | None = None
        self._set = _flat(session, FIXED)
        # A session has no tools but those that it is given.
        self._set.setdefault("tools", [])
        # How the upstream shows the session when it is as it should be.
        self._shown: dict[str, Any] | None = None
        # How it was when it was not.
        self._seen: dict[str, Any] | None = None
        self._tries = 0
        # What was sent to put something back, and messages that were deleted.
        self._sent: dict[str, tuple[str, ...]] = {}
        self._deleted = ("", "")
        self._over = False

    def ask(self, now: float) -> Event:
        """Return the event to begin with: it changes nothing, and shows the session."""
        self.deadline = now + _PATIENCE_SECONDS
        return _update({})

    def take(self, event: Event, now: float) -> Act | None:
        """Take a server event; say what is to be done."""
        if self._over:
            return None
        match event:
            case {"type": "session.updated", "session": dict(session)}:
                return self._judge(_flat(session, FIXED), now)
            case {"type": "error", "error": {"event_id": str(sent)}} if (
                sent in self._sent
            ):
                return self._refused(self._sent.pop(sent), now)
            case {
                "type": kind,
                "item": {"type": "message", "role": "system", "id": str(item_id)},
            } if kind in _ADDED and not self._twin(kind, item_id):
                # By another name these are instructions, and nobody else adds any.
                self._deleted = kind, item_id
                return self._another_try(
                    ({"type": "conversation.item.delete", "item_id": item_id},),
                    ("conversation",),
                )
        return None

    def late(self) -> Act | None:
        """Say what is to be done when the deadline has passed."""
        self.deadline = None
        if self._over:
            return None
        return self._lost(self._changed(self._seen) if self._seen else ())

    def _twin(self, kind: str, item_id: str) -> bool:
        """Whether this tells again, by its other name, of what was just deleted."""
        told, deleted = self._deleted
        return item_id == deleted and kind != told

    def _judge(self, seen: dict[str, Any], now: float) -> Act | None:
        changed = self._changed(seen)
        if not changed:
            self._shown = seen if self._shown is None else self._shown
            self._seen = self.deadline = None
            return None
        before, self._seen = self._seen, seen
        if before and all(_plain(before, p) == _plain(seen, p) for p in changed):
            return None  # what puts it back is on its way
        self.deadline = now + _PATIENCE_SECONDS
        return self._another_try(self._original(changed), changed)

    def _another_try(
        self, undo: tuple[Event, ...], what: tuple[str, ...]
    ) -> Act | None:
        self._tries += 1
        if self._tries == 1:
            return Restore(undo, what)
        self._over = True
        return Expel(what)

    def _refused(self, what: tuple[str, ...], now: float) -> Act | None:
        """Take it that something cannot be put back."""
        if what == (_VOICE,) and self._shown is None and self._seen:
            # The model had spoken before this began: the rest can still be guarded.
            del self._set[_VOICE]
            return self._judge(self._seen, now)
        return self._lost(what)

    def _lost(self, what: tuple[str, ...]) -> Act:
        """Give up: on the caller, if the session was once as it should be."""
        self._over = True
        self.deadline = None
        return Surrender(what) if self._shown is None else Expel(what)

    def _changed(self, seen: dict[str, Any]) -> tuple[str, ...]:
        """Name what is not as it should be, of what the upstream shows."""
        shown = self._shown
        if shown is not None:
            return tuple(p for p in shown | seen if _plain(shown, p) != _plain(seen, p))
        # The model is named by an alias, and cannot be changed.
        paths = [p for p in self._set if p in seen and p != "model"]
        return tuple(p for p in paths if not _fits(self._set[p], seen[p]))

    def _original(self, changed: tuple[str, ...]) -> tuple[Event, ...]:
        """Make the events that put something back."""
        base = (self._shown or {}) | self._set
        seen = self._seen or {}
        voice = [path for path in changed if path == _VOICE]
        rest = [path for path in changed if path not in (_VOICE, "model")]
        events = []
        for paths in (rest, voice):
            if paths:
                event = _update({p: _whole(base.get(p), seen.get(p)) for p in paths})
                self._sent[event["event_id"]] = tuple(paths)
                events.append(event)
        return tuple(events)


def _update(values: Mapping[str, Any]) -> Event:
    session: dict[str, Any] = {"type": "realtime"}
    for path, value in values.items():
        *place, name = path.split(".")
        inner = session
        for key in place:
            inner = inner.setdefault(key, {})
        inner[name] = value
    return {
        "type": "session.update",
        "event_id": new_id("event"),
        "session": session,
    }


def _flat(session: Mapping[str, Any], shape: Shape, at: str = "") -> dict[str, Any]:
    """Return what a shape names, by its paths."""
    flat: dict[str, Any] = {}
    for key, value in picked(dict(session), shape).items():
        part = shape[key]
        if isinstance(part, Kind):
            flat[at + key] = value
        else:
            flat |= _flat(value or {}, part, f"{at}{key}.")
    return flat


def _whole(value: Any, seen: Any) -> Any:
    """Return a value that replaces another whole: what is merged is set to null."""
    if isinstance(value, dict) and isinstance(seen, dict):
        return {key: value.get(key) for key in {**seen, **value}}
    return value


def _plain(flat: Mapping[str, Any], path: str) -> Any:
    return _bare(flat.get(path))


def _bare(value: Any) -> Any:
    """Return a value as it can be compared: without nulls, which are nothing."""
    if isinstance(value, dict):
        return {key: _bare(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_bare(inner) for inner in value]
    return round(value, 3) if isinstance(value, float) else value


def _fits(wanted: Any, seen: Any) -> bool:
    """Whether an upstream may show it so: it completes objects, and hides keys."""
    if isinstance(wanted, dict) and isinstance(seen, dict):
        return all(_fits(wanted[key], seen[key]) for key in wanted.keys() & seen.keys())
    if isinstance(wanted, list) and isinstance(seen, list):
        return len(wanted) == len(seen) and all(map(_fits, wanted, seen))
    if isinstance(wanted, dict) and isinstance(seen, str):
        return wanted.get("id") == seen  # a voice of the account's own
    return bool(_bare(wanted) == _bare(seen))
