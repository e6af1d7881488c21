"""One source's packets on a recording's clock: what is missing stays as time.

A packet waits for some 400 ms: those behind it tell what its being late means. Where
they catch up, the network held it up, and it belongs where its timestamp says. Where
all are as late as it is, the source stood still (a page was frozen, a microphone
unplugged) though its timestamps go on, and the pause belongs before it. The least
that any packet of the last seconds took from its timestamp to us is where the source's
clock is; as that drifts, a little is made up or left out, where it is quiet.
"""

from __future__ import annotations

from collections import deque
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from offhook.audio import opus
from offhook.protocol.rtp import CLOCK_RATE, ahead, later

if TYPE_CHECKING:
    from offhook.protocol.rtp import Packet

_MS = CLOCK_RATE // 1000
# Opus lasts a multiple of it: 2.5 ms.
_GRAIN = 120

# How long a packet waits for those that tell about it; longer while they catch up.
_PATIENCE = 400 * _MS
_MOST_PATIENCE = 600 * _MS
# They do when the newest of them are so much less late than those before.
_CATCHING_UP = 10 * _MS
_NEWEST = 150 * _MS
# Who is silent for longer than this is not only held up.
_ABSENT = 5 * CLOCK_RATE
# Of packets that wait: more is a flood, and is left out.
_MOST_WAITING = 1000

# The clock may be wrong by so much before it is put right, or where nobody hears it.
_MOST_ERROR = 6 * _MS
_SOME_ERROR = 3 * _MS
# The least delay of so long is taken for the way's.
_WINDOW = 10 * CLOCK_RATE
# A packet that is later than this says no more about jitter; it is a mean of some 10 s.
_MOST_JITTER = 100 * _MS
_JITTER_OF = 512
# Fewer packets may all be about as late by chance; by so much yet fewer.
_FEW, _FEWEST = 6, 3
_ALIKE = 30 * _MS
_FAR = 60 * _MS
# So many numbers from the newest packet, or so much ahead of time, is another source.
_MOST_STEP = 3000
_MOST_AHEAD = CLOCK_RATE
# The last packets of a source that was left may be late; then it may come back.
_FOLLOWED_S = 0.5

# What is made up: for lost packets as long as it sounds like speech; where the source
# says that it pauses (DTX) what the room sounds like. The rest is silence.
_LOST = 100 * _MS
_PAUSED = 500 * _MS
# A gap in which a change of it is not heard.
_PAUSE = 10 * _MS
# Of the size of a mean packet: less is quiet. The mean is of so many.
_QUIET = 0.5
_SIZE_OF = 64


class _Waiting(NamedTuple):
    timestamp: int  # that never wraps
    arrival: int
    transit: int  # from the one to the other
    duration: int
    packet: Packet


class _Clock:
    """Where the timestamps of a source are on ours.

    Attributes:
        offset: From its clock to ours; None before it is known.
    """

    def __init__(self) -> None:
        self.offset: int | None = None
        self._least: deque[tuple[int, int]] = deque()  # arrivals, and rising transits
        self._jitter = 0.0
        self._heard = 0

    @property
    def least(self) -> int:
        """The least transit of late."""
        return self._least[0][1]

    def hear(self, arrival: int, transit: int) -> None:
        """Take what a packet took."""
        least = self._least
        while least and least[-1][1] >= transit:
            least.pop()
        least.append((arrival, transit))
        while least[0][0] < arrival - _WINDOW:
            least.popleft()

    def stands(self, least: int) -> bool:
        """Whether the source has stood still, if no packet takes less from now on."""
        most = max(_MOST_ERROR, self._jitter)
        return self.offset is not None and least - self.offset > most

    def place(self, item: _Waiting, least: int, free: bool) -> int:
        """Return where a packet begins.

        Args:
            item: The packet.
            least: The least transit of it and of those that came after it.
            free: Whether nobody would hear a small change.
        """
        if self.offset is None:
            self.offset = least
        if self.stands(least):
            self.offset = least
            while len(self._least) > 1 and self._least[0][0] < item.arrival:
                self._least.popleft()
        error = self.least - self.offset
        if abs(error) > (_SOME_ERROR if free else _MOST_ERROR):
            self.offset += error
        late = min(max(0, item.transit - self.offset), _MOST_JITTER)
        self._heard = min(self._heard + 1, _JITTER_OF)
        self._jitter += (late - self._jitter) / self._heard
        return item.timestamp + self.offset


class Timeline:
    """Makes of one source's packets a gapless sequence of payloads.

    Args:
        began: When the recording began, by the clock that tells when packets came.
        live: Whether a packet's sound was before it came, as a microphone's, or is
            after it, as that of what is sent to be played.

    Attributes:
        length: How long the payloads that were given are, in samples at 48 kHz.
        left_out: How many packets came too late, or had to go for others' time.
    """

    def __init__(self, began: float, *, live: bool) -> None:
        self.length = 0
        self.left_out = 0
        self._began = began
        self._live = live
        self._clock = _Clock()
        self._waiting: list[_Waiting] = []  # at most _MOST_WAITING, in order
        self._newest: _Waiting | None = None  # whose timestamp is the newest
        self._left: int | None = None  # the source before, and when it was left
        self._since = 0.0
        self._number: int | None = None  # of the packet that was placed last
        self._before = b""  # what can be gone on from
        self._made_up = 0  # since then
        self._size = 0.0  # of a packet of 20 ms, mean
        self._made: list[bytes] = []

    def at(self, now: float) -> int:
        """Where on the timeline a time is."""
        return round((now - self._began) * CLOCK_RATE)

    def put(self, packet: Packet, now: float) -> None:
        """Take a packet, in whatever order they come."""
        duration = opus.duration(packet.payload)
        if not duration or len(self._waiting) == _MOST_WAITING:
            self.left_out += 1
            return
        newest = self._newest
        if newest and not _goes_on(packet, newest.packet):
            if packet.ssrc == self._left and now - self._since < _FOLLOWED_S:
                self.left_out += 1
                return
            self._left, self._since = newest.packet.ssrc, now
            self._leave()
            newest = None
        timestamp = packet.timestamp
        if newest:
            step = later(timestamp, newest.packet.timestamp)
            timestamp = newest.timestamp + step
        arrival = self.at(now)
        transit = arrival - timestamp - (duration if self._live else 0)
        if newest and transit < self._clock.least - _MOST_AHEAD:
            self._leave()
            newest = None
        self._clock.hear(arrival, transit)
        item = _Waiting(timestamp, arrival, transit, duration, packet)
        if newest is None or timestamp > newest.timestamp:
            self._newest = item
            self._waiting.append(item)
        else:
            self._insert(item)

    def advance(self, now: float) -> list[bytes]:
        """Return the payloads that are due, in order and without a gap."""
        arrival = self.at(now)
        self._place(arrival)
        if not self._waiting:
            self._fill(arrival - _ABSENT)
        return self._take()

    def end(self) -> list[bytes]:
        """Return what waits; whoever goes on begins anew."""
        self._leave()
        return self._take()

    def pad(self, length: int) -> list[bytes]:
        """Return what is missing to a length; the next multiple of 2.5 ms is given."""
        self._fill(length + _GRAIN - 1)
        return self._take()

    def _take(self) -> list[bytes]:
        made, self._made = self._made, []
        return made

    def _insert(self, item: _Waiting) -> None:
        """Put a packet that is late before those that were after it."""
        waiting = self._waiting
        at = len(waiting)
        while at and waiting[at - 1].timestamp > item.timestamp:
            at -= 1
        if at and waiting[at - 1].timestamp == item.timestamp:
            return  # it is there already
        waiting.insert(at, item)

    def _leave(self) -> None:
        """Place all that waits, and forget the source."""
        self._place(None)
        self._clock = _Clock()
        self._newest = self._number = None

    def _place(self, now: int | None) -> None:
        """Place what has waited long enough; None: all."""
        waiting = self._waiting
        if not waiting or (now is not None and waiting[0].arrival > now - _PATIENCE):
            return
        least = list(accumulate((item.transit for item in reversed(waiting)), min))
        placed = 0
        for item in waiting:
            if now is not None and item.arrival > now - _PATIENCE:
                break
            known = least[-1 - placed]
            stands = self._clock.stands(known)
            if stands and not self._settled(known, waiting[placed:], now):
                if now is not None and item.arrival > now - _MOST_PATIENCE:
                    break
                known = self._clock.least
            self._put_down(item, known)
            placed += 1
        del waiting[:placed]

    def _settled(self, least: int, rest: list[_Waiting], now: int | None) -> bool:
        """Whether packets that are all late, by the least at least, tell why."""
        alike = sum(item.transit < least + _ALIKE for item in rest)
        far = self._clock.stands(least - _FAR)
        if alike < (_FEWEST if far else _FEW):
            return False
        since = (now or rest[-1].arrival) - _NEWEST
        before = (item.transit for item in rest if item.arrival < since)
        return min(before, default=least) - least <= _CATCHING_UP

    def _put_down(self, item: _Waiting, least: int) -> None:
        payload, clock = item.packet.payload, self._clock
        size = len(payload) * 960 / item.duration
        self._size += (size - self._size) / _SIZE_OF
        gap = 0
        if clock.offset is not None:
            gap = item.timestamp + clock.offset - self.length
        free = gap > _PAUSE or size < self._size * _QUIET
        gap = _grains(clock.place(item, least, free) - self.length)
        if gap < 0:
            self.left_out += 1
            return
        number = item.packet.sequence_number
        paused = self._number is not None and number == (self._number + 1) & 0xFFFF
        self._fill(self.length + gap, _PAUSED if paused else _LOST)
        self._made.append(payload)
        self.length += item.duration
        self._before, self._made_up, self._number = payload, 0, number

    def _fill(self, until: int, made_up: int = _LOST) -> None:
        """Go on to a time without a packet, or to just before it."""
        samples = (until - self.length) // _GRAIN * _GRAIN
        if samples <= 0:
            return
        self.length += samples
        concealed = min(samples, made_up - self._made_up) if self._before else 0
        if concealed > 0:
            self._made_up += concealed
            self._made += opus.concealment(self._before, concealed)
            samples -= concealed
        if samples:
            self._before = b""
            self._made += opus.silence(samples)


def _goes_on(packet: Packet, newest: Packet) -> bool:
    """Whether a packet is of the same source, and before or after its newest."""
    step = ahead(packet.sequence_number, newest.sequence_number)
    passed = later(packet.timestamp, newest.timestamp)
    same = packet.ssrc == newest.ssrc and abs(step) < _MOST_STEP
    return same and (step > 0) == (passed > 0)


def _grains(samples: int) -> int:
    return round(samples / _GRAIN) * _GRAIN
