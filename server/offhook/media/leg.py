"""One leg of a bridged call: Opus packets to others as they came, and from others."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from offhook.errors import InvalidRequest, ServerError
from offhook.media.bypass import RtpPath, opus_payload_type
from offhook.media.mixer import Mixer
from offhook.media.playing import Alone, Under, encoded
from offhook.media.sounds import LiveSource, Sound
from offhook.protocol import rtp

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpTransceiver

    from offhook.media.playing import Playing
    from offhook.media.sounds import Source

    # Hears a packet, and when it came or went by the loop's clock.
    Tap = Callable[[rtp.Packet, float], None]

_log = logging.getLogger(__name__)

# What a mixer hears first of what it continues: 100 ms.
_BEFORE = 5


@dataclass(frozen=True)
class Statistics:
    """How a leg's audio fares; what the other side reports is None until it does.

    Attributes:
        packets_received: From it.
        packets_lost: Of those that it sent.
        jitter_s: Of those that came.
        dropped: Datagrams from it that were of no use.
        packets_sent: To it.
        packets_missed: Of those, as it reports.
        round_trip_s: From us to it and back.
    """

    packets_received: int
    packets_lost: int
    jitter_s: float
    dropped: int
    packets_sent: int
    packets_missed: int | None
    round_trip_s: float | None


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
    """The audio of one connected peer, as packets.

    It takes over the transceiver's RTP; aiortc goes on with ICE, DTLS, RTCP and the
    data channel. Use as `async with Leg(...) as leg`; leaving ends what is played. The
    connection stays, and is silent.

    Args:
        transceiver: The audio of a connection that is up.

    Raises:
        InvalidRequest: The other side does not speak Opus.
        ServerError: The connection is not up.
    """

    def __init__(self, transceiver: RTCRtpTransceiver) -> None:
        payload_type = opus_payload_type(transceiver)
        if payload_type is None:
            raise InvalidRequest(
                "A bridged call needs Opus: offer it, or call directly.",
                code="unsupported_codec",
            )
        if transceiver.receiver.transport.state != "connected":
            raise ServerError("A leg needs a connection that is up: wait for it.")
        self.transceiver = transceiver
        self._path = RtpPath(transceiver, payload_type, self._said)
        self._stream = rtp.Stream(
            self._path.ssrc, payload_type, *self._path.following()
        )
        self._said_taps: tuple[Tap, ...] = ()
        self._heard_taps: tuple[Tap, ...] = ()
        self._unfollow: Callable[[], None] | None = None
        self._before: deque[bytes] = deque(maxlen=_BEFORE)
        self._playing: Playing | None = None
        self._reading: set[asyncio.Task[None]] = set()

    @classmethod
    def of(cls, connection: RTCPeerConnection) -> Self:
        """Take the first audio of a connection; see above for what it raises."""
        voices = (t for t in connection.getTransceivers() if t.kind == "audio")
        voice = next(voices, None)
        if voice is None:
            raise ServerError("A leg needs audio: the connection has none.")
        return cls(voice)

    async def __aenter__(self) -> Self:
        self._path.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.follow(None)
        if self._playing:
            self._playing.end()
        self._path.close()
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
        received = (await self.transceiver.receiver.getStats()).values()
        sent = (await self.transceiver.sender.getStats()).values()
        inbound = [entry for entry in received if entry.type == "inbound-rtp"]
        reports = [entry for entry in sent if entry.type == "remote-inbound-rtp"]
        return Statistics(
            packets_received=sum(entry.packetsReceived for entry in inbound),
            packets_lost=sum(entry.packetsLost for entry in inbound),
            jitter_s=max((e.jitter for e in inbound), default=0) / rtp.CLOCK_RATE,
            dropped=self._path.dropped,
            packets_sent=sum(e.packetsSent for e in sent if e.type == "outbound-rtp"),
            packets_missed=reports[-1].packetsLost if reports else None,
            round_trip_s=reports[-1].roundTripTime if reports else None,
        )

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
        self._path.send(data, self._stream.timestamp, now)
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
