"""A source of packets and a network that brings them, in a time that is made up."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

from offhook.protocol.rtp import Packet
from offhook.protocol.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TICK_S = 0.3


class Sent(NamedTuple):
    """A packet that has come.

    Attributes:
        number: Which one it is of those that were said.
        said: When what is in it began.
        came: When it came.
    """

    number: int
    said: float
    came: float
    packet: Packet


def send(
    seconds: float,
    payload: Callable[[int], bytes],
    *,
    ms: int = 20,
    live: bool = True,
    drift: float = 0.0,
    delay: Callable[[float], float | None] = lambda _: 0.0,
    stalls: Iterable[tuple[float, float]] = (),
    renewed: Iterable[float] = (),
    silent: Callable[[float], bool] = lambda _: False,
) -> list[Sent]:
    """Send packets; return those that come, in the order in which they do.

    Args:
        seconds: How long, by the recording's clock.
        payload: Of each packet; nothing where it is left out (DTX).
        ms: Of a packet.
        live: Whether a packet leaves when it has been said, or before it is heard.
        drift: How much faster the source's clock is.
        delay: How late a packet comes that is sent at a time; None loses it.
        stalls: When the source stands still, and for how long: its timestamps do, too.
        renewed: When it goes on as another source.
        silent: Whether nothing is sent at a time, and the timestamps go on.
    """
    pauses, sources = sorted(stalls), sorted(renewed)
    rng = random.Random(5)
    base, ssrc, number, stood = rng.randrange(2**32), rng.randrange(2**32), 65000, 0.0
    sent = []
    for index in range(round(seconds * 1000 / ms)):
        at = index * ms / 1000 / (1 + drift) + stood
        while pauses and pauses[0][0] <= at:
            pause = pauses.pop(0)[1]
            stood, at = stood + pause, at + pause
        if at >= seconds:
            break
        while sources and sources[0] <= at:
            sources.pop(0)
            base, ssrc = rng.randrange(2**32), rng.randrange(2**32)
            number = rng.randrange(2**16)
        data = payload(index)
        if silent(at) or not data:
            continue
        number += 1
        left = at + ms / 1000 if live else at
        late = delay(left)
        if late is not None:
            timestamp = (base + index * ms * 48) & 0xFFFFFFFF
            packet = Packet(111, False, number & 0xFFFF, timestamp, ssrc, data)
            sent.append(Sent(index, at, left + late, packet))
    return sorted(sent, key=lambda one: one.came)


def network(
    seed: int, *, jitter: float = 0.005, loss: float = 0.05
) -> Callable[[float], float | None]:
    """A network with loss, and a delay that is mostly short."""
    rng = random.Random(seed)

    def delay(_: float) -> float | None:
        return None if rng.random() < loss else rng.expovariate(1 / jitter)

    return delay


def recorded(
    sent: Iterable[Sent], seconds: float, *, live: bool = True
) -> tuple[Timeline, list[bytes]]:
    """What a timeline makes of it in so many seconds."""
    timeline, payloads, tick = Timeline(0.0, live=live), list[bytes](), TICK_S
    for one in sent:
        while tick < min(one.came, seconds):
            payloads += timeline.advance(tick)
            tick += TICK_S
        timeline.put(one.packet, one.came)
    while tick < seconds:
        payloads += timeline.advance(tick)
        tick += TICK_S
    payloads += timeline.end()
    return timeline, payloads + timeline.pad(timeline.at(seconds))
