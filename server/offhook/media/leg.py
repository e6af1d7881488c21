"""One leg of a bridged call: Opus packets to others as they came, and from others."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Self

from offhook.media.bypass import RtpPath
from offhook.media.player import Levels, Player
from offhook.protocol import rtp

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import MediaStreamTrack, RTCPeerConnection

    from offhook.media.path import PacketPath, Statistics, Tap
    from offhook.media.player import Playback
    from offhook.media.sounds import Sound

_log = logging.getLogger(__name__)


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
        self._player = Player(self._pass_on, self._emit, self._stream.leave)

    @classmethod
    def of(cls, connection: RTCPeerConnection) -> Self:
        """Take the first audio of a connection that is up; see `RtpPath`."""
        return cls(RtpPath.of(connection))

    @property
    def listens(self) -> bool:
        """Whether it hears what it follows, if anything: no sound is played alone."""
        return self._unfollow is not None and not self._player.alone

    async def __aenter__(self) -> Self:
        self.path.open(self._said)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.follow(None)
        await self._player.close()
        self.path.close()

    def follow(self, other: Leg | None) -> None:
        """Let this leg hear what another says, from now on; None: nobody."""
        if self._unfollow:
            self._unfollow()
        self._player.forget()
        self._unfollow = other.tap_said(self._player.hear) if other else None

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
        """Play a sound to this leg.

        Under speech any number of them is heard at a time. One that is heard alone ends
        another one that is, and what is under speech goes on unheard meanwhile. What
        the leg follows waits until it is over, and is heard then; but nobody waits for
        the end of a loop or of a track, and what is said meanwhile is not heard. On a
        leg that has been left it is over at once.

        Args:
            sound: It, or what makes a live track: read now, stopped in the end.
            under_speech: Whether what the leg follows is heard with it.
            loop: Whether it begins again when it is over; not a live track.
            gain_db: The change of its level.
            duck_db: The further change while there is speech; as all that follows, only
                under speech.
            fade_ms: How long it takes to come, and to go when it is stopped.
        """
        levels = Levels(gain_db, duck_db, fade_ms)
        return self._player.play(sound, levels, under_speech=under_speech, loop=loop)

    def forget(self) -> None:
        """Let what still waits for the end of a sound be unheard: it was taken back."""
        self._player.forget()

    async def statistics(self) -> Statistics:
        """Count what has happened until now."""
        return await self.path.statistics()

    def _said(self, packet: rtp.Packet, now: float) -> None:
        for tap in self._said_taps:
            try:
                tap(packet, now)
            except Exception:
                self._fail(tap)

    def _pass_on(self, packet: rtp.Packet, now: float) -> None:
        data = self._stream.follow(packet, now)
        if data is not None:
            self._send(data, now)

    def _emit(self, payload: bytes, now: float) -> None:
        self._send(self._stream.emit(payload, now), now)

    def _send(self, data: bytes, now: float) -> None:
        self.path.send(data, self._stream.timestamp, now)
        if self._heard_taps and (packet := rtp.parse(data)):
            for tap in self._heard_taps:
                try:
                    tap(packet, now)
                except Exception:
                    self._fail(tap)

    def _fail(self, tap: Tap) -> None:
        _log.exception("a tap failed: it hears no more of this leg")
        self._untap(tap)

    def _untap(self, tap: Tap) -> None:
        self._said_taps = tuple(t for t in self._said_taps if t != tap)
        self._heard_taps = tuple(t for t in self._heard_taps if t != tap)


def couple(one: Leg, other: Leg) -> None:
    """Let two legs hear each other."""
    one.follow(other)
    other.follow(one)
