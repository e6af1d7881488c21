"""Speech with a sound under it: packets in, packets out, in step with the speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from offhook.audio import dbfs
from offhook.audio.mixing import Ducking, Fade, amplitude, mix, ramp
from offhook.media.codec import FRAME, FRAME_BYTES, RATE, Decoder, Encoder
from offhook.protocol.arrivals import Arrivals
from offhook.protocol.rtp import later

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offhook.media.sounds import Source
    from offhook.protocol.rtp import Packet

_MS = 1000 * FRAME // RATE
# What a source leaves out for longer is not made up: its time goes on without.
_LONGEST_GAP = 5 * FRAME
# A source that is ahead of real time by more than a second is no speech.
_AHEAD_S = 1.0
_QUIET_DBFS = -50.0


class Mixer:
    """Decodes speech, puts a sound under it, and encodes the sum, once each.

    Args:
        sound: Gives the sound's samples.
        before: The last payloads of the speech: decoder and encoder hear them first,
            and then go on where the receiver's decoder is.
        gain_db: The change of the sound's level.
        duck_db: Its further change while there is speech.
        fade_ms: How long it takes to come and, when stopped, to go.
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
        """Whether the sound is over: only speech is left."""
        self._sound = sound
        self._gain = amplitude(gain_db)
        self._ducking = Ducking(duck_db)
        self._fade = Fade(fade_ms)
        self._applied = 0.0  # the gain at the end of the last frame
        self._arrivals = Arrivals()
        self._decoder = Decoder()
        self._encoder = Encoder()
        self._speech = b""  # less than a frame between calls
        self._level = -np.inf
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
        return self._level < _QUIET_DBFS

    def stop(self) -> None:
        """Fade the sound out."""
        self._fade.out()

    def feed(self, packet: Packet, now: float) -> list[bytes]:
        """Take a packet of the speech; return the payloads of 20 ms that it makes."""
        self._began = self._began or now
        if self._made > (now - self._began + _AHEAD_S) * RATE:
            return []
        return [
            payload
            for arrived in self._arrivals.put(packet)
            for payload in self._spoken(arrived)
        ]

    def fill(self) -> list[bytes]:
        """Go on for 20 ms in which no packet came."""
        left = [p for a in self._arrivals.flush() for p in self._spoken(a)]
        return left or self._mixed(self._concealed(FRAME))

    def _spoken(self, packet: Packet | None) -> list[bytes]:
        if packet is None:
            return self._mixed(self._concealed(0))
        gap = 0 if self._next is None else later(packet.timestamp, self._next)
        speech = self._concealed(gap) if 0 < gap <= _LONGEST_GAP else b""
        pcm = self._decoder.decode(packet.payload)
        self._next = (packet.timestamp + len(pcm) // 2) & 0xFFFFFFFF
        return self._mixed(speech + pcm)

    def _concealed(self, samples: int) -> bytes:
        """Make up so many samples, or as many as the last packet had."""
        pcm = self._decoder.conceal()
        while len(pcm) < 2 * samples:
            pcm += self._decoder.conceal()
        pcm = pcm[: 2 * samples] if samples else pcm
        if self._next is not None:
            self._next = (self._next + len(pcm) // 2) & 0xFFFFFFFF
        return pcm

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
        self._level = dbfs(speech)
        sound = self._sound.take(FRAME)
        self.ended = self.ended or sound is None or self._fade.over
        if self.ended or sound is None:
            return speech
        gain = self._gain * self._ducking.follow(speech, _MS) * self._fade.pass_on(_MS)
        before, self._applied = self._applied, gain
        if len(sound) < FRAME:
            sound = np.pad(sound, (0, FRAME - len(sound)))
        return mix(np.frombuffer(speech, "<i2"), ramp(sound, before, gain))
