"""A call whose audio goes in events, at the pace at which people say and hear it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from offhook.audio import byte_length
from offhook.errors import MissingExtra
from offhook.protocol.playout import Playout

try:
    from offhook.media.voice import PcmPath
    from offhook.protocol.wire_audio import WireAudio
except ModuleNotFoundError as error:
    raise MissingExtra("media", str(error.name)) from None

if TYPE_CHECKING:
    from offhook.events import Event
    from offhook.media.path import Tap
    from offhook.protocol.transport_events import Audio, TurnDone
    from offhook.transports.emitter import Listened

_log = logging.getLogger(__name__)

_RATE = 24000
_PCM: dict[str, Any] = {"type": "audio/pcm"}
# What is kept before it flows: a chunk that is 20 ms late makes no gap.
_AHEAD = byte_length(40, _RATE)
# So many packets' time is waited for that, or for the end of what there is.
_HELD = 3
# Six minutes may be sent at once; of more the rest is not recorded.
_MOST_SAID = byte_length(360_000, _RATE)


class Pace:
    """What is sent and received in events, as packets of 20 ms.

    What is sent is said from when it was sent, one after the other. What is received is
    heard from when it came, and what an interruption left over is not.

    Args:
        said: Gets the packets of what is said.
        heard: Gets those of what is heard.
        reported: Whether it is heard when `played` says so, instead.
    """

    def __init__(self, said: Tap, heard: Tap, *, reported: bool = False) -> None:
        self._taps = said, heard
        self._waiting = bytearray()  # bounded by _MOST_SAID
        self._flows = False
        self._held = 0  # how often it has waited for more
        self._playout = Playout()
        self._input = self._output = WireAudio(_PCM)
        self._formats: tuple[Any, Any] = (_PCM, _PCM)
        self._paths: list[PcmPath] = []
        # In bytes: what the player has reported and is not heard yet.
        self._reported = 0 if reported else None
        self._rest = b""  # of that, what was before a cut
        self._last = ("", 0.0)

    def listen(self, transport: Listened) -> None:
        """Hear what a transport receives."""
        transport.on("*", self._take)
        transport.on("audio", self._hear)
        transport.on("turn_done", self._finish)
        transport.on("audio_interrupted", lambda *_: self._cut())
        transport.on("connected", self._begin)
        transport.on("disconnected", self.end)

    def say(self, audio: bytes) -> None:
        """Say something, in the session's format."""
        try:
            pcm = self._input.decode(audio)
        except ValueError:
            return  # half a sample: the server says so
        if self._paths and len(self._waiting) + len(pcm) <= _MOST_SAID:
            self._waiting += pcm

    def played(self, item_id: str, ms: float) -> None:
        """Let an item be heard up to there."""
        if self._reported is not None:
            before = self._last[1] if self._last[0] == item_id else 0.0
            self._last = item_id, max(before, ms)
            self._reported += byte_length(round(max(0.0, ms - before)), _RATE)

    def end(self) -> None:
        """Say and hear no more."""
        for path in self._paths:
            path.close()
        self._paths.clear()
        self._waiting.clear()
        self._playout = Playout()

    def _begin(self) -> None:
        self.end()
        pulls = self._pull_said, self._pull_heard
        for pull, tap in zip(pulls, self._taps, strict=True):
            path = PcmPath(pull, lambda _: None)
            path.open(tap)
            self._paths.append(path)

    def _take(self, event: Event) -> None:
        match event:
            case {"type": "session.created" | "session.updated", "session": session}:
                formats = _format(session, "input"), _format(session, "output")
                if formats != self._formats:
                    self._formats = formats
                    self._input, self._output = map(WireAudio, formats)

    def _hear(self, audio: Audio) -> None:
        pcm = self._output.decode(audio.data)
        self._playout.put(audio.response_id, audio.item_id, pcm)

    def _finish(self, turn: TurnDone) -> None:
        self._playout.finish(turn.response_id)

    def _cut(self) -> None:
        if self._reported:
            self._rest += self._playout.pull(_ms(self._reported))[0]
            self._reported = 0
        self._playout.clear()

    def _pull_said(self, ms: int) -> bytes:
        if not self._flows and len(self._waiting) < _AHEAD and self._held < _HELD:
            self._held += bool(self._waiting)
            return b""
        self._held = 0
        wanted = byte_length(ms, _RATE)
        pcm = bytes(self._waiting[:wanted])
        del self._waiting[:wanted]
        self._flows = len(pcm) == wanted
        return pcm

    def _pull_heard(self, ms: int) -> bytes:
        if self._reported is None:
            return self._playout.pull(ms)[0]
        wanted = byte_length(ms, _RATE)
        pcm, self._rest = self._rest[:wanted], self._rest[wanted:]
        more = self._playout.pull(_ms(min(wanted - len(pcm), self._reported)))[0]
        self._reported -= len(more)
        return pcm + more


def _ms(size: int) -> int:
    return size * 1000 // byte_length(1000, _RATE)


def _format(session: Any, side: str) -> Any:
    found = session
    for key in ("audio", side, "format"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) and found.get("type") else _PCM
