"""What one side of a call hears: speech, and sounds in its place or under it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from offhook.media.backlog import Backlog
from offhook.media.mixer import Layer, Mixer
from offhook.media.playing import Alone, Under, encoded
from offhook.media.sounds import LiveSource, Sound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiortc import MediaStreamTrack

    from offhook.media.sounds import Source
    from offhook.protocol.rtp import Packet

    Playable = Sound | Callable[[], MediaStreamTrack]

# What a mixer hears first of what it continues: 100 ms.
_BEFORE = 5


@dataclass(frozen=True)
class Levels:
    """How loud a sound is.

    Attributes:
        gain_db: The change of its level.
        duck_db: The further change while there is speech; as all that follows, only
            under speech.
        fade_ms: How long it takes to come, and to go when it is stopped.
    """

    gain_db: float = 0.0
    duck_db: float = -12.0
    fade_ms: int = 20


class Playback:
    """A sound that was begun; it ends by itself, by `stop`, or for another one.

    Args:
        stop: Stops it.
        over: Is done when it has ended.
    """

    def __init__(self, stop: Callable[[], None], over: asyncio.Future[None]) -> None:
        self._stop = stop
        self._over = over

    @classmethod
    def of(cls, playbacks: Sequence[Playback]) -> Playback:
        """Make one of what is played to several legs, which ends with the last."""
        over = asyncio.get_running_loop().create_future()
        left = len(playbacks)

        def end_one() -> None:
            nonlocal left
            left -= 1
            if not left:
                over.set_result(None)

        def stop() -> None:
            for playback in playbacks:
                playback.stop()

        for playback in playbacks:
            playback.then(end_one)
        return cls(stop, over)

    @classmethod
    def none(cls) -> Playback:
        """Make one of nothing, which has ended."""
        over = asyncio.get_running_loop().create_future()
        over.set_result(None)
        return cls(lambda: None, over)

    def stop(self) -> None:
        """End it: in a moment, softly, where it is under speech."""
        self._stop()

    async def ended(self) -> None:
        """Return when it has ended."""
        await asyncio.shield(self._over)

    def then(self, do: Callable[[], None]) -> None:
        """Call something when it has ended, soon."""
        self._over.add_done_callback(lambda _: do())


class Player:
    """Passes speech on, and plays sounds.

    Args:
        follow: Sends a packet of the speech.
        emit: Sends a payload of our own.
        leave: Called where one of the two takes over from the other.
    """

    def __init__(
        self,
        follow: Callable[[Packet, float], None],
        emit: Callable[[bytes, float], None],
        leave: Callable[[], None],
    ) -> None:
        self._follow = follow
        self._emit = emit
        self._leave = leave
        self._before: deque[bytes] = deque(maxlen=_BEFORE)
        self._alone: Alone | None = None
        self._under: Under | None = None
        self._backlog: Backlog | None = None
        self._reading: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def alone(self) -> bool:
        """Whether a sound is heard alone just now."""
        return self._alone is not None

    async def close(self) -> None:
        """End what is played, and begin nothing any more."""
        self._closed = True
        self.forget()
        if self._under:
            self._under.end()
        if self._alone:
            self._alone.end()
        if self._reading:
            for reading in self._reading:
                reading.cancel()
            await asyncio.wait(self._reading)

    def hear(self, packet: Packet, now: float) -> None:
        """Take a packet of the speech."""
        if self._backlog:
            self._backlog.put(packet)
        elif not self._alone:
            self._onward(packet, now)

    def forget(self) -> None:
        """Let what waits be unheard, and what comes be another's."""
        self._before.clear()
        self._leave()
        if self._backlog:
            self._backlog.clear()

    def play(
        self, sound: Playable, levels: Levels, *, under_speech: bool, loop: bool
    ) -> Playback:
        """Play a sound; see `Leg.play`."""
        if self._closed:
            return Playback.none()
        source: Source = (
            sound.samples(loop=loop) if isinstance(sound, Sound) else LiveSource(sound)
        )
        over = asyncio.get_running_loop().create_future()
        ended = partial(self._ended, over, self._read(source))
        if under_speech:
            layer = Layer(
                source,
                ended,
                gain_db=levels.gain_db,
                duck_db=levels.duck_db,
                fade_ms=levels.fade_ms,
            )
            self._put_under(layer)
            return Playback(layer.stop, over)
        payloads = (
            sound.payloads(loop=loop)
            if isinstance(sound, Sound) and not levels.gain_db
            else encoded(source, levels.gain_db)
        )
        if self._alone:
            self._alone.end()
        # Of what has no end, nobody waits for it.
        waits = isinstance(sound, Sound) and not loop
        self._begin_alone(waits=waits)
        self._alone = Alone(payloads, self._emit, partial(self._end_alone, ended))
        return Playback(self._alone.end, over)

    def _put_under(self, layer: Layer) -> None:
        if self._under:
            self._under.add(layer)
            return
        self._leave()
        mixer = Mixer(layer, self._before)
        self._under = Under(mixer, self._emit_mixed, self._end_under)

    def _begin_alone(self, *, waits: bool) -> None:
        self._leave()
        if self._backlog:
            self._backlog.hold()
        if not waits:
            self._backlog = None
        elif not self._backlog:
            self._backlog = Backlog(self._onward, self._end_backlog)

    def _end_alone(self, ended: Callable[[], None]) -> None:
        self._alone = None
        self._leave()
        if self._backlog:
            self._backlog.release()
        ended()

    def _end_under(self) -> None:
        self._under = None
        self._leave()

    def _end_backlog(self) -> None:
        self._backlog = None
        self._leave()

    def _onward(self, packet: Packet, now: float) -> None:
        self._before.append(packet.payload)
        if self._under:
            self._under.heard(packet, now)
        else:
            self._follow(packet, now)

    def _emit_mixed(self, payload: bytes, now: float) -> None:
        # Sounds under speech go on unheard while another is heard alone.
        if not self._alone:
            self._emit(payload, now)

    def _read(self, source: Source) -> asyncio.Task[None] | None:
        if not isinstance(source, LiveSource):
            return None
        reading = asyncio.create_task(source.run())
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)
        return reading

    def _ended(
        self, over: asyncio.Future[None], reading: asyncio.Task[None] | None
    ) -> None:
        if reading:
            reading.cancel()
        over.set_result(None)
