"""One leg of a bridged call: Opus packets to others as they came, and from others."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Self

from offhook.media.bypass import RtpPath
from offhook.media.mixer import Mixer
from offhook.media.playing import Alone, Under, encoded
from offhook.media.sounds import LiveSource, Sound
from offhook.protocol import rtp

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import MediaStreamTrack, RTCPeerConnection

    from offhook.media.path import PacketPath, Statistics, Tap
    from offhook.media.playing import Playing
    from offhook.media.sounds import Source

_log = logging.getLogger(__name__)

# What a mixer hears first of what it continues: 100 ms.
_BEFORE = 5


class Playback:
    """A sound that was begun; it ends by itself, by `stop`, or for the next one.

    Args:
        stop: Stops it.
        ended: Is set when it has ended.
    """

    def __init__(self, stop: Callable[[], None], ended: asyncio.Event) -> None:
        self._stop = stop
        self._ended = ended

    def stop(self) -> None:
        """End it: in a moment, softly, where it is under speech."""
        self._stop()

    async def ended(self) -> None:
        """Return when it has ended."""
        await self._ended.wait()


class Leg:
    """The audio of one side of a call, as packets.

    Use as `async with Leg(...) as leg`; leaving ends what is played. A connection
    stays, and is silent.

    Args:
        path: Leads to its far end: an `RtpPath` or a `PcmPath`.

    Attributes:
        path: The same.
    """

    def __init__(self, path: PacketPath) -> None:
        self.path = path
        self._stream = rtp.Stream(path.ssrc, path.payload_type, *path.following())
        self._said_taps: tuple[Tap, ...] = ()
        self._heard_taps: tuple[Tap, ...] = ()
        self._unfollow: Callable[[], None] | None = None
        self._before: deque[bytes] = deque(maxlen=_BEFORE)
        self._playing: Playing | None = None
        self._reading: set[asyncio.Task[None]] = set()

    @classmethod
    def of(cls, connection: RTCPeerConnection) -> Self:
        """Take the first audio of a connection that is up; see `RtpPath`."""
        return cls(RtpPath.of(connection))

    @property
    def listens(self) -> bool:
        """Whether it hears what it follows, if anything: no sound is played alone."""
        return self._unfollow is not None and not isinstance(self._playing, Alone)

    async def __aenter__(self) -> Self:
        self.path.open(self._said)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.follow(None)
        if self._playing:
            self._playing.end()
        self.path.close()
        if self._reading:
            for reading in self._reading:
                reading.cancel()
            await asyncio.wait(self._reading)

    def follow(self, other: Leg | None) -> None:
        """Let this leg hear what another says, from now on; None: nobody."""
        if self._unfollow:
            self._unfollow()
        self._stream.leave()
        self._before.clear()
        self._unfollow = other.tap_said(self._pass_on) if other else None

    def tap_said(self, tap: Tap) -> Callable[[], None]:
        """Call `tap` with each packet that comes from this leg, in the order it came.

        A tap must be quick, as it is called before the packet goes on; one that raises
        is not called again.

        Returns:
            Ends it.
        """
        self._said_taps += (tap,)
        return partial(self._untap, tap)

    def tap_heard(self, tap: Tap) -> Callable[[], None]:
        """Call `tap` with each packet that is sent to this leg: speech and sounds."""
        self._heard_taps += (tap,)
        return partial(self._untap, tap)

    def play(
        self,
        sound: Sound | Callable[[], MediaStreamTrack],
        *,
        under_speech: bool = False,
        loop: bool = False,
        gain_db: float = 0.0,
        duck_db: float = -12.0,
        fade_ms: int = 20,
    ) -> Playback:
        """Play a sound to this leg; one that plays is ended.

        Args:
            sound: It, or what makes a live track: read now, stopped in the end.
            under_speech: Whether what the leg follows is heard with it, or not at all.
            loop: Whether it begins again when it is over; not a live track.
            gain_db: The change of its level; as all that follows, only under speech.
            duck_db: The further change while there is speech.
            fade_ms: How long it takes to come, and to go when it is stopped.
        """
        if self._playing:
            self._playing.end()
        self._stream.leave()
        source: Source = (
            sound.samples(loop=loop) if isinstance(sound, Sound) else LiveSource(sound)
        )
        over = asyncio.Event()
        ended = partial(self._ended, over, self._read(source))
        if under_speech:
            mixer = Mixer(
                source,
                self._before,
                gain_db=gain_db,
                duck_db=duck_db,
                fade_ms=fade_ms,
            )
            self._playing = Under(mixer, self._emit, ended)
        else:
            payloads = (
                sound.payloads(loop=loop)
                if isinstance(sound, Sound)
                else encoded(source)
            )
            self._playing = Alone(payloads, self._emit, ended)
        return Playback(self._playing.stop, over)

    def _read(self, source: Source) -> asyncio.Task[None] | None:
        if not isinstance(source, LiveSource):
            return None
        reading = asyncio.create_task(source.run())
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)
        return reading

    def _ended(self, over: asyncio.Event, reading: asyncio.Task[None] | None) -> None:
        self._playing = None
        self._stream.leave()
        if reading:
            reading.cancel()
        over.set()

    async def statistics(self) -> Statistics:
        """Count what has happened until now."""
        return await self.path.statistics()

    def _said(self, packet: rtp.Packet, now: float) -> None:
        for tap in self._said_taps:
            self._tell(tap, packet, now)

    def _pass_on(self, packet: rtp.Packet, now: float) -> None:
        """Hear a packet of the leg that is followed."""
        self._before.append(packet.payload)
        if self._playing:
            self._playing.heard(packet, now)
            return
        data = self._stream.follow(packet, now)
        if data is not None:
            self._send(data, now)

    def _emit(self, payload: bytes, now: float) -> None:
        self._send(self._stream.emit(payload, now), now)

    def _send(self, data: bytes, now: float) -> None:
        self.path.send(data, self._stream.timestamp, now)
        if self._heard_taps and (packet := rtp.parse(data)):
            for tap in self._heard_taps:
                self._tell(tap, packet, now)

    def _tell(self, tap: Tap, packet: rtp.Packet, now: float) -> None:
        try:
            tap(packet, now)
        except Exception:
            _log.exception("a tap failed: it hears no more of this leg")
            self._untap(tap)

    def _untap(self, tap: Tap) -> None:
        self._said_taps = tuple(t for t in self._said_taps if t != tap)
        self._heard_taps = tuple(t for t in self._heard_taps if t != tap)


def couple(one: Leg, other: Leg) -> None:
    """Let two legs hear each other."""
    one.follow(other)
    other.follow(one)
