"""Sounds in a leg of a call: one that is heard alone, and those under speech."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from offhook.audio.mixing import amplitude, mix, pcm16
from offhook.media.codec import FRAME, RATE, Encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from offhook.media.mixer import Layer, Mixer
    from offhook.media.sounds import Source
    from offhook.protocol.rtp import Packet

_FRAME_S = FRAME / RATE
# A loop that was held up catches up at most this much.
_LATEST_S = 0.2
# Speech may be so late before a mixer goes on without it, which is looked for so often.
_PATIENCE_S = 3 * _FRAME_S
_LOOK_S = 0.1
# Back from the mixed packets to the speech's own is inaudible in a pause, which is
# waited for so long.
_PAUSE_S = 1.0


class Alone:
    """Sends payloads of 20 ms in real time.

    Args:
        payloads: What to send.
        emit: Sends one; called with the loop's time.
        ended: Called once, when the last one has been sent, or by `end`.
    """

    def __init__(
        self,
        payloads: Iterator[bytes],
        emit: Callable[[bytes, float], None],
        ended: Callable[[], None],
    ) -> None:
        self._payloads = payloads
        self._emit = emit
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._timer = self._loop.call_at(self._due, self._tick)

    def end(self) -> None:
        """End; safe to call twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._ended()

    def _tick(self) -> None:
        payload = next(self._payloads, None)
        if payload is None:
            self.end()
            return
        now = self._loop.time()
        self._emit(payload, now)
        self._due = max(self._due, now - _LATEST_S) + _FRAME_S
        self._timer = self._loop.call_at(self._due, self._tick)


class Under:
    """Sends speech with sounds under it, whenever speech comes, or by itself.

    Args:
        mixer: Makes the payloads.
        emit: Sends one; called with the loop's time.
        ended: Called once, when the sounds are over and the speech pauses.
    """

    def __init__(
        self,
        mixer: Mixer,
        emit: Callable[[bytes, float], None],
        ended: Callable[[], None],
    ) -> None:
        self._mixer = mixer
        self._emit = emit
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._sent = self._loop.time()
        self._alone = False  # no speech has come for a while
        self._over: float | None = None  # since when only speech is left
        self._timer: asyncio.TimerHandle | None = None
        self._timer = self._loop.call_later(_PATIENCE_S, self._tick)

    def heard(self, packet: Packet, now: float) -> None:
        """Mix it, and send what this makes."""
        payloads = self._mixer.feed(packet, now)
        self._alone = self._alone and not payloads
        self._send(payloads, now)

    def add(self, layer: Layer) -> None:
        """Put another sound under the speech."""
        self._mixer.add(layer)
        self._over = None

    def end(self) -> None:
        """End, with all sounds; safe to call twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._mixer.end()
            self._ended()

    def _tick(self) -> None:
        now = self._loop.time()
        if now - self._sent > _LATEST_S:
            self._sent = now - _LATEST_S
        while self._timer is not None and now - self._sent >= _PATIENCE_S:
            self._alone = True
            self._send(self._mixer.fill(), self._sent + _FRAME_S)
        if self._timer is not None:
            due = self._sent + _PATIENCE_S if self._alone else now + _LOOK_S
            self._timer = self._loop.call_at(due, self._tick)

    def _send(self, payloads: list[bytes], now: float) -> None:
        for payload in payloads:
            self._emit(payload, now)
        if payloads:
            self._sent = now
        if self._mixer.ended:
            self._over = self._over or now
            if self._mixer.quiet or now - self._over > _PAUSE_S:
                self.end()


def encoded(source: Source, gain_db: float = 0.0) -> Iterator[bytes]:
    """Encode the samples of a source as they are asked for."""
    encoder, gain = Encoder(), amplitude(gain_db)
    while (sound := source.take(FRAME)) is not None:
        pcm = np.zeros(FRAME, np.float32)
        mix(pcm, sound, gain, gain)
        yield encoder.encode(pcm16(pcm))
