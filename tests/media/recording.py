"""A process that records until it is killed; test_recovery.py starts it.

It tells, a line each, how many packets it has given to the recorder.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from offhook.media.disk import Disk
from offhook.media.recorder import Recorder
from offhook.protocol.rtp import Packet


def packet(number: int) -> Packet:
    """A packet of 20 ms that no other is like."""
    payload = b"\x48" + number.to_bytes(8, "big") + bytes(60)
    return Packet(111, False, number & 0xFFFF, 960 * number, 7, payload)


async def record(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    async with Disk() as disk, Recorder(folder, disk) as recorder:
        began = loop.time() + 0.1  # the first packet was said after the beginning
        for number in range(10_000):
            await asyncio.sleep(began + number / 50 - loop.time())
            recorder.said(packet(number), time.monotonic())
            if number % 100 < 50:  # the model is silent now and then
                recorder.heard(packet(number), time.monotonic())
            recorder.note("model", {"type": "test", "number": number})
            sys.stdout.write(f"{number + 1}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
