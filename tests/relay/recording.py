"""A server that records a call until it is killed; test_recordings.py starts it."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

from offhook.media.disk import Disk
from offhook.media.recorder import Recorder
from tests.media.recording import packet
from tests.recorded import CALL, keeping


async def record(data: Path) -> None:
    loop = asyncio.get_running_loop()
    call = replace(CALL, ended=None, began=time.time())
    async with keeping(data) as kept, Disk() as disk:
        kept.writer.began(call)
        _, folder = kept.recordings.begin(call, call.began)
        await kept.writer.flush(kept.store)
        async with Recorder(folder, disk, call={"id": call.id}) as recorder:
            began = loop.time() + 0.1
            for number in range(10_000):
                await asyncio.sleep(began + number / 50 - loop.time())
                recorder.said(packet(number), time.monotonic())
                recorder.heard(packet(number), time.monotonic())
                sys.stdout.write(f"{number + 1}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
