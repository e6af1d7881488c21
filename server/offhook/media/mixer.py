"""Speech with a sound under it: packets in, packets out, in step with the speech."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from offhook.audio import opus
from offhook.audio.mixing import Ducking, Fade, amplitude, mix, power, samples
from offhook.media.codec import FRAME, FRAME_BYTES, RATE, TICKS, Decoder, Encoder
from offhook.protocol.arrivals import Arrivals
from offhook.protocol.rtp import later

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offhook.media.sounds import Source
    from offhook.protocol.rtp import Packet

_MS = 1000 * FRAME // RATE
# What a source leaves out for longer is not made up: its time goes on without.
_LONGEST_GAP = 5 * FRAME
# Packets that were held up come at once, when their time has been made up already. What
# is more than 100 ms ahead of real time is left out, so that delay cannot grow; clocks
# may differ by a thousandth.
_MOST_AHEAD = 5 * FRAME
_DRIFT = 1.001
# Less than this over a frame is a pause: -50 dBFS.
_QUIET = 10**-5.0


class Mixer:
    """Decodes speech, puts a sound under it, and encodes the sum, once each.

    Args:
        sound: Gives the sound's samples.
        before: The last payloads of the speech: decoder and encoder hear them first,
            and then go on where the receiver's decoder is.
        gain_db: The change of the sound's level.
        duck_db: Its further change while there is speech.
        fade_ms: How long it takes to come and, when stopped, to go.

    Attributes:
        ended: Whether the sound is over: only speech is left.
    """

    def __init__(
        self,
        sound: Source,
        before: Iterable[bytes] = (),
        *,
        gain_db: float = 0.0,
        duck_db: float = -12.0,
        fade_ms: int = 20,
    ) -> None:
        self.ended = False
        self._sound = sound
        self._gain = amplitude(gain_db)
        self._ducking = Ducking(duck_db)
        self._fade = Fade(fade_ms)
        self._applied = 0.0  # the gain at the end of the last frame
        self._arrivals = Arrivals()
        self._decoder = Decoder()
        self._encoder = Encoder()
        self._speech = b""  # less than a frame between calls
        self._power = 0.0  # of its last frame
        self._next: int | None = None  # the source's timestamp that is due
        self._began: float | None = None
        self._made = 0  # samples
        for payload in before:
            pcm = self._decoder.decode(payload)
            if len(pcm) == FRAME_BYTES:
                self._encoder.encode(pcm)

    @property
    def quiet(self) -> bool:
        """Whether the speech pauses just now."""
        return self._power < _QUIET

    def stop(self) -> None:
        """Fade the sound out."""
        self._fade.out()

    def feed(self, packet: Packet, now: float) -> list[bytes]:
        """Take a packet of the speech; return the payloads of 20 ms that it makes."""
        if self._began is None:
            self._began = now - self._made / RATE
        pcm = self._spoken(self._arrivals.put(packet))
        ahead = self._made - (now - self._began) * RATE * _DRIFT
        return [] if ahead > _MOST_AHEAD else self._mixed(pcm)

    def fill(self) -> list[bytes]:
        """Go on for 20 ms in which no packet came."""
        pcm = self._spoken(self._arrivals.flush())
        return self._mixed(pcm or self._made_up(FRAME))

    def _spoken(self, packets: list[Packet | None]) -> bytes:
        pcm = b""
        for packet, following in zip_longest(packets, packets[1:]):
            if packet is None:
                missing = self._decoder.conceal(following and following.payload)
                self._pass(len(missing) // 2)
                pcm += missing
            else:
                pcm += self._paused(packet) + self._decoder.decode(packet.payload)
                self._next = packet.timestamp
                self._pass(opus.duration(packet.payload) // TICKS)
        return pcm

    def _paused(self, packet: Packet) -> bytes:
        """Make up the pause before a packet; one that is too long is left out."""
        if self._next is None:
            return b""
        gap = later(packet.timestamp, self._next) // TICKS
        return self._made_up(gap) if 0 < gap <= _LONGEST_GAP else b""

    def _made_up(self, samples: int) -> bytes:
        pcm = b""
        while len(pcm) < 2 * samples:
            pcm += self._decoder.conceal()
        self._pass(samples)
        return pcm[: 2 * samples]

    def _pass(self, samples: int) -> None:
        if self._next is not None:
            self._next = (self._next + samples * TICKS) & 0xFFFFFFFF

    def _mixed(self, speech: bytes) -> list[bytes]:
        self._speech += speech
        payloads = []
        while len(self._speech) >= FRAME_BYTES:
            frame, self._speech = (
                self._speech[:FRAME_BYTES],
                self._speech[FRAME_BYTES:],
            )
            payloads.append(self._encoder.encode(self._under(frame)))
            self._made += FRAME
        return payloads

    def _under(self, speech: bytes) -> bytes:
        pcm = samples(speech)
        self._power = power(pcm)
        sound = self._sound.take(FRAME)
        self.ended = self.ended or sound is None or self._fade.over
        if self.ended or sound is None:
            return speech
        ducked = self._ducking.follow(self._power, _MS)
        gain = self._gain * ducked * self._fade.pass_on(_MS)
        before, self._applied = self._applied, gain
        return mix(pcm, sound, before, gain)
