"""Our peer, with a leg that follows itself.

`tap` taps it, `record` records what is said and what is heard, `mix` mixes a hum in.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import deque
from contextlib import AsyncExitStack
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from signalling import serve  # type: ignore[import-not-found]  # beside this script

from offhook.media.disk import Disk
from offhook.media.leg import Leg
from offhook.media.peer import Peer
from offhook.media.recorder import Recorder
from offhook.media.sounds import Sound

if TYPE_CHECKING:
    from offhook.protocol.rtp import Packet

tasks: list[asyncio.Task[None]] = []
taken: deque[tuple[Packet, float]] = deque(maxlen=1000)
hum = (300 * np.sin(2 * np.pi * 110 * np.arange(48000) / 24000)).astype("<i2")
sound = Sound(hum.tobytes())
folder = Path(tempfile.mkdtemp())
disk = Disk()
numbers = count()


def take(packet: Packet, now: float) -> None:
    taken.append((packet, now))


class Nobody:
    """Takes what a peer reports."""

    def opened(self) -> None:
        pass

    def message(self, text: str | bytes) -> None:
        pass

    def audio(self, pcm: bytes) -> None:
        pass


async def echo(peer: Peer) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(peer)
        await peer.connected()
        leg = await stack.enter_async_context(Leg.of(peer.connection))
        leg.follow(leg)
        if "tap" in sys.argv:
            leg.tap_said(take)
        if "record" in sys.argv:
            recorder = Recorder(folder / f"rec_{next(numbers)}", disk)
            (await stack.enter_async_context(recorder)).attach(leg)
        if "mix" in sys.argv:
            leg.play(sound, under_speech=True, loop=True)
        await peer.run()


async def answer(sdp: str) -> str:
    if not tasks and "record" in sys.argv:
        await disk.__aenter__()  # until the process ends
    peer = Peer(Nobody(), None)
    tasks.append(asyncio.create_task(echo(peer)))
    return await peer.answer(sdp)


# uvicorn, too, takes uvloop where it is installed.
uvloop = find_spec("uvloop") and import_module("uvloop")
serve(answer, uvloop.run if uvloop else asyncio.run)
