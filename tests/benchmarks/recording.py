"""What recording both sides of a call costs: beside passing its packets, and by itself.

- calls: rounds of `media.py`, passing and recording in turn; the difference is what
  recording costs for one second of a call.
- packets: what a timeline and the files take for one packet, without a network, in one
  thread.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from offhook.media.spool import About, Spool
from offhook.protocol.rtp import Packet
from tests.benchmarks.media import (
    PASSING,
    RECORDING,
    Echo,
    Measured,
    Servers,
    add_round,
    row,
    show,
)

ROUNDS, CALLS, SECONDS = 7, 30, 4.0
TICK_S, PACKETS = 0.3, 15


async def measure() -> None:
    """Print both."""
    show(f"recording: {per_packet():.1f} us of CPU for a packet, in one thread")
    found: dict[Echo, Measured] = {PASSING: Measured(), RECORDING: Measured()}
    async with AsyncExitStack() as stack:
        servers = Servers(stack)
        for number in range(2 * ROUNDS):
            echo = (PASSING, RECORDING)[number % 2]
            server = await servers.get(echo)
            if server is None:
                return
            await add_round(found[echo], server, CALLS, SECONDS, 0)
    row("", "calls", "CPU ms", "later ms", "p99 ms", "back %")
    for echo, kept in found.items():
        back = f"{100 * kept.received / max(1, kept.sent):.1f}"
        p99 = f"{min(kept.p99_ms):.1f}"
        row(echo.name, CALLS, f"{kept.cpu:.2f}", f"{kept.later:.1f}", p99, back)
    pairs = zip(found[PASSING].cpu_ms, found[RECORDING].cpu_ms, strict=False)
    more = [recording - passing for passing, recording in pairs]
    show(f"recording costs {statistics.median(more):.2f} ms more (1.5 is wanted)")


def per_packet() -> float:
    """Microseconds for a packet of 70 bytes in 20 ms, as both sides come in real."""
    spent = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(5):
            about = About(0.0)
            path = Path(folder) / f"rec_{number}"
            spool = Spool(path, 0.0, about, live=False, failed=show)
            ticks = 400
            began = time.thread_time()
            for tick in range(ticks):
                said = [
                    (_packet(tick, n), (tick * PACKETS + n + 1) / 50) for n in _TICK
                ]
                heard = [(_packet(tick, n), (tick * PACKETS + n) / 50) for n in _TICK]
                spool.write((said, heard), [], (tick + 1) * TICK_S)
            spent.append((time.thread_time() - began) / ticks / PACKETS / 2)
            spool.close(ticks * TICK_S, [])
    return 1e6 * min(spent)


_TICK = range(PACKETS)


def _packet(tick: int, number: int) -> Packet:
    index = tick * PACKETS + number
    return Packet(111, False, index & 0xFFFF, 960 * index, 7, b"\x48" + bytes(69))


if __name__ == "__main__":
    asyncio.run(measure())
