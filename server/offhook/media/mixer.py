"""Speech with sounds under it: packets in, packets out, in step with the speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offhook.audio.mixing import Ducking, Fade, amplitude, mix, pcm16, power, samples
from offhook.media.codec import FRAME, FRAME_BYTES, RATE, Encoder
from offhook.media.reception import Reception

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from offhook.media.sounds import Source
    from offhook.protocol.rtp import Packet

_MS = 1000 * FRAME // RATE
# Packets that were held up come at once, when their time has been made up already. What
# is more than 100 ms ahead of real time is left out, so that delay cannot grow; clocks
# may differ by a thousandth.
_MOST_AHEAD = 5 * FRAME
_DRIFT = 1.001
# Less than this over a frame is a pause: -50 dBFS.
QUIET = 10**-5.0


class Layer:
    """A sound under speech.

    Args:
        sound: Gives its samples.
        ended: Called once, when it is over.
        gain_db: The change of its level.
        duck_db: The further change while there is speech.
        fade_ms: How long it takes to come and, when stopped, to go.
    """

    def __init__(
        self,
        sound: Source,
        ended: Callable[[], None] = lambda: None,
        *,
        gain_db: float = 0.0,
        duck_db: float = -12.0,
        fade_ms: int = 20,
    ) -> None:
        self._sound = sound
        self._tell_ended: Callable[[], None] | None = ended
        self._gain = amplitude(gain_db)
        self._ducking = Ducking(duck_db)
        self._fade = Fade(fade_ms)
        self._applied = 0.0  # the gain at the end of the last frame

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._tell_ended is None

    def stop(self) -> None:
        """Fade it out."""
        self._fade.out()

    def end(self) -> None:
        """Let it be over; safe to call twice."""
        if self._tell_ended:
            tell, self._tell_ended = self._tell_ended, None
            tell()

    def add_to(self, pcm: NDArray[np.float32], speech: float) -> None:
        """Add its next 20 ms to as much of speech, whose power this is."""
        sound = self._sound.take(FRAME)
        if sound is None or self._fade.over:
            self.end()
            return
        ducked = self._ducking.follow(speech, _MS)
        gain = self._gain * ducked * self._fade.pass_on(_MS)
        before, self._applied = self._applied, gain
        mix(pcm, sound, before, gain)


class Mixer:
    """Decodes speech, puts sounds under it, and encodes the sum, once each.

    Args:
        layer: A sound.
        before: The last payloads of the speech: decoder and encoder hear them first,
            and then go on where the receiver's decoder is.
    """

    def __init__(self, layer: Layer, before: Iterable[bytes] = ()) -> None:
        self._layers = [layer]
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
    def ended(self) -> bool:
        """Whether all sounds are over: only speech is left."""
        return not self._layers

    @property
    def quiet(self) -> bool:
        """Whether the speech pauses just now."""
        return self._power < QUIET

    def add(self, layer: Layer) -> None:
        """Put another sound under the speech."""
        self._layers.append(layer)

    def end(self) -> None:
        """Let all sounds be over."""
        for layer in self._layers:
            layer.end()
        self._layers.clear()

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
        for layer in self._layers:
            layer.add_to(pcm, self._power)
        self._layers = [layer for layer in self._layers if not layer.ended]
        return pcm16(pcm)
