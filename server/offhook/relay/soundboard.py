"""Plays an agent's sounds, and others, into one call."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from offhook.errors import InvalidRequest
from offhook.media.player import Playback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from offhook.events import Event
    from offhook.media.leg import Leg
    from offhook.media.player import Playable
    from offhook.relay.cues import Cue, To

    Side = Literal["caller", "model"]

_log = logging.getLogger(__name__)

START = "offhook.sound.start"
STOP = "offhook.sound.stop"
# An answer that comes so soon is not waited for.
_PATIENCE_S = 1.0
# At a time: each that is under speech costs something.
_MOST = 16


class Soundboard:
    """The sounds of one call.

    Args:
        cues: Those with names.
        tell: Tells the caller an event.
    """

    def __init__(self, cues: Mapping[str, Cue], tell: Callable[[Event], None]) -> None:
        self._cues = cues
        self._tell = tell
        self._legs: dict[Side, Leg] = {}
        self._playing: list[tuple[str | None, Playback]] = []  # at most _MOST
        self._timer: asyncio.TimerHandle | None = None
        self._waits = False

    def open(self, side: Side, leg: Leg) -> None:
        """Begin what this side is to hear from now on."""
        self._legs[side] = leg
        for cue in self._cues.values():
            if cue.when in ("connected", "always") and side in _sides(cue.to):
                self._start_by_itself(cue, (side,))

    def close(self) -> None:
        """Begin nothing any more; the legs end what they play."""
        self._legs.clear()
        self.wait(False)

    def wait(self, waits: bool) -> None:
        """Say whether the caller waits for the model."""
        if waits == self._waits:
            return
        self._waits = waits
        if self._timer:
            self._timer.cancel()
            self._timer = None
        cues = [cue for cue in self._cues.values() if cue.when == "waiting"]
        if waits and cues:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_PATIENCE_S, self._bridge_over, cues)
        for cue in cues:
            self.stop(cue.name)

    def play(
        self, sound: str | Playable, *, to: To | None = None, **how: Any
    ) -> Playback:
        """Play a cue by its name, or any sound; see `BridgedCall.play`."""
        if isinstance(sound, str):
            if sound not in self._cues:
                known = ", ".join(self._cues) or "none"
                raise InvalidRequest(
                    f"There is no sound {sound[:64]!r} here, but {known}.",
                    code="unknown_sound",
                    param="name",
                )
            cue = self._cues[sound]
            return self._start(cue, _sides(to or cue.to), **how)
        return self._begin(None, sound, _sides(to or "caller"), how)

    def stop(self, name: str) -> None:
        """Stop a cue, if it plays."""
        for playing, playback in tuple(self._playing):
            if playing == name:
                playback.stop()

    def hear(self, event: Event) -> None:
        """Do what the caller asks for.

        Raises:
            InvalidRequest: It may not, or it cannot be done.
        """
        name = event.get("name")
        cue = self._cues.get(name) if isinstance(name, str) else None
        if cue is None or not cue.control:
            # What there is, but not for callers, is nobody's business.
            raise InvalidRequest(
                "There is no sound of this name that you may start or stop.",
                code="unknown_sound",
                param="name",
            )
        self.stop(cue.name)
        if event["type"] == START:
            self._start(cue, _sides(cue.to))

    def _bridge_over(self, cues: list[Cue]) -> None:
        self._timer = None
        for cue in cues:
            if all(side in self._legs for side in _sides(cue.to)):
                self._start_by_itself(cue, _sides(cue.to))

    def _start_by_itself(self, cue: Cue, sides: tuple[Side, ...]) -> None:
        try:
            self._start(cue, sides)
        except InvalidRequest as error:
            # Nobody has asked: the call goes on without it.
            _log.warning("the sound %r is not played: %s", cue.name, error)

    def _start(self, cue: Cue, sides: tuple[Side, ...], **how: Any) -> Playback:
        if cue.playable is None:
            return Playback.none()  # its file has broken; the log has said so
        return self._begin(cue, cue.playable, sides, {**cue.how, **how})

    def _begin(
        self,
        cue: Cue | None,
        sound: Playable,
        sides: tuple[Side, ...],
        how: dict[str, Any],
    ) -> Playback:
        if not all(side in self._legs for side in sides):
            raise InvalidRequest(
                "This side of the call is not up: wait for it.", code="not_connected"
            )
        if len(self._playing) >= _MOST:
            raise InvalidRequest(
                "Too many sounds play: wait until one has ended.",
                code="too_many_sounds",
            )
        playback = Playback.of([self._legs[side].play(sound, **how) for side in sides])
        entry = (cue.name if cue else None, playback)
        self._playing.append(entry)
        to = "both" if len(sides) > 1 else sides[0]
        told = {"name": cue.name, "to": to} if cue else None
        if told:
            self._tell({"type": "offhook.sound.started", **told})
        playback.then(partial(self._ended, entry, told))
        return playback

    def _ended(
        self, entry: tuple[str | None, Playback], told: Mapping[str, str] | None
    ) -> None:
        self._playing.remove(entry)
        if told:
            self._tell({"type": "offhook.sound.stopped", **told})


def _sides(to: To) -> tuple[Side, ...]:
    return ("caller", "model") if to == "both" else (to,)
