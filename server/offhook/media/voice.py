"""A leg without a connection: PCM that is pulled is said, what is heard becomes PCM."""

from __future__ import annotations

import asyncio
import random
from functools import cache
from typing import TYPE_CHECKING

from offhook.media.codec import FRAME_BYTES, Encoder
from offhook.media.path import Statistics
from offhook.media.reception import Reception
from offhook.protocol import rtp

if TYPE_CHECKING:
    from collections.abc import Callable

    from offhook.media.path import Tap

_MS = 20
_FRAME_S = _MS / 1000
_PAYLOAD_TYPE = 96
_SILENCE = bytes(FRAME_BYTES)
# A loop that was held up catches up at most this much; the rest was silence anyway.
_LATEST_S = 0.2
# So many packets are kept back for speech that is about to come: as if they were late.
_MOST_OWED = 10
# Packets may be so late before time goes on without them. Whoever hears PCM needs it in
# order and soon, but at no exact time; only the end of a turn should not wait for more.
_PATIENCE_S = 0.2


class PcmPath:
    """The packets of somebody who speaks and hears 24 kHz PCM.

    It says a packet every 20 ms, always: silence costs no encoding. What it hears is
    passed on as it comes, in order, lost packets made up. Where none come for 200 ms,
    time goes on without them.

    Args:
        pull: Returns that many milliseconds to say, or less; the rest is silence.
            What it has returned has left.
        hear: Takes what is heard.
        lacks: Tells whether more than there is to pull is about to come: then it is
            waited for, 200 ms at most, and what was not said is said at once.

    All are called on the event loop, and must neither block nor raise.
    """

    payload_type = _PAYLOAD_TYPE

    def __init__(
        self,
        pull: Callable[[int], bytes],
        hear: Callable[[bytes], None],
        lacks: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.ssrc = random.getrandbits(32)
        self._pull = pull
        self._hear = hear
        self._lacks = lacks
        self._owed = 0  # packets
        self._gave_up = False
        self._source = random.getrandbits(32)
        self._number = self._timestamp = 0
        self._said = self._heard = 0
        self._encoder = Encoder()
        self._pauses = True  # what the encoder made last was silence
        self._reception: Reception | None = None
        self._heard_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def following(self) -> tuple[int, int]:
        """See PacketPath: nothing needs to be followed."""
        return random.randrange(2**15), random.randrange(2**32)

    def open(self, hear: Tap) -> None:
        """See PacketPath; needs a running loop."""
        self._tell = hear
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()
        self._reception = None
        self._timer = self._loop.call_at(self._due, self._tick)

    def close(self) -> None:
        """See PacketPath."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def send(self, data: bytes, timestamp: int, now: float) -> None:
        """See PacketPath: let it be heard."""
        packet = rtp.parse(data)
        if packet is None or self._timer is None:
            return
        self._reception = self._reception or Reception()
        self._heard += 1
        self._heard_until = now
        self._pass_on(self._reception.put(packet))

    async def statistics(self) -> Statistics:
        """See PacketPath: nothing is lost here, and nobody reports."""
        return Statistics(
            packets_received=self._said,
            packets_lost=0,
            jitter_s=0.0,
            dropped=0,
            packets_sent=self._heard,
            packets_missed=None,
            round_trip_s=None,
        )

    def _tick(self) -> None:
        now = self._loop.time()
        missed = max(0.0, now - self._due - _LATEST_S)
        self._due += missed + _FRAME_S
        self._timer = self._loop.call_at(self._due, self._tick)
        self._speak(now, missed)
        if self._reception and now - self._heard_until >= _PATIENCE_S:
            self._heard_until += _FRAME_S
            self._pass_on(self._reception.fill())

    def _speak(self, now: float, missed: float) -> None:
        lacks = self._lacks(_MS)
        if lacks and not self._gave_up and self._owed < _MOST_OWED:
            self._owed += 1
            return
        if lacks:
            missed += self._owed * _FRAME_S
            self._owed = 0
        self._gave_up = lacks
        self._say(now, missed)
        while self._owed and not self._lacks(_MS):
            self._owed -= 1
            self._say(now, 0.0)

    def _say(self, now: float, missed: float) -> None:
        paused, payload = self._pauses, self._payload()
        self._timestamp += rtp.FRAME * (1 + round(missed / _FRAME_S))
        self._number += 1
        self._said += 1
        packet = rtp.Packet(
            _PAYLOAD_TYPE,
            paused and not self._pauses,
            self._number & 0xFFFF,
            self._timestamp & 0xFFFFFFFF,
            self._source,
            payload,
        )
        self._tell(packet, now)

    def _payload(self) -> bytes:
        pcm = self._pull(_MS)
        if not pcm and self._pauses:
            return _silent()
        # After speech it encodes silence until that is all that is in it: decoders
        # must be where the encoder is when it goes on.
        payload = self._encoder.encode(pcm.ljust(FRAME_BYTES, b"\0"))
        self._pauses = payload == _silent()
        return payload

    def _pass_on(self, pcm: bytes) -> None:
        if pcm:
            self._hear(pcm)


@cache
def _silent() -> bytes:
    return Encoder().encode(_SILENCE)
