"""Speech with a sound under it: packets in, packets out, in step with the speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offhook.audio.mixing import Ducking, Fade, amplitude, mix, power, samples
from offhook.media.codec import FRAME, FRAME_BYTES, RATE, Encoder
from offhook.media.reception import Reception

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offhook.media.sounds import Source
    from offhook.protocol.rtp import Packet

_MS = 1000 * FRAME // RATE
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
        self._reception = Reception()
        self._encoder = Encoder()
        self._speech = b""  # less than a frame between calls
        self._power = 0.0  # of its last frame
        self._began: float | None = None
        self._made = 0  # samples
        for payload in before:
            pcm = self._reception.prime(payload)
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
        pcm = self._reception.put(packet)
        ahead = self._made - (now - self._began) * RATE * _DRIFT
        return [] if ahead > _MOST_AHEAD else self._mixed(pcm)

    def fill(self) -> list[bytes]:
        """Go on for 20 ms in which no packet came."""
        return self._mixed(self._reception.fill())

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
