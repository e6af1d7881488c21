"""A leg of ours that follows itself: `passthrough`, `tap`, or `mix` with a hum."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from signalling import serve  # type: ignore[import-not-found]  # beside this script

from offhook.media.leg import Leg
from offhook.media.sounds import Sound

if TYPE_CHECKING:
    from offhook.protocol.rtp import Packet

calls: list[RTCPeerConnection] = []
tasks: list[asyncio.Task[None]] = []
taken: deque[tuple[Packet, float]] = deque(maxlen=1000)
hum = (300 * np.sin(2 * np.pi * 110 * np.arange(48000) / 24000)).astype("<i2")
sound = Sound(hum.tobytes())


def take(packet: Packet, now: float) -> None:
    taken.append((packet, now))


async def echo(peer: RTCPeerConnection, changed: asyncio.Event) -> None:
    while peer.connectionState != "connected":
        changed.clear()
        await changed.wait()
    async with Leg(peer.getTransceivers()[0]) as leg:
        leg.follow(leg)
        if "tap" in sys.argv:
            leg.tap_said(take)
        if "mix" in sys.argv:
            leg.play(sound, under_speech=True, loop=True)
        while peer.connectionState == "connected":
            changed.clear()
            await changed.wait()


async def answer(sdp: str) -> str:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    calls.append(peer)
    changed = asyncio.Event()
    peer.on("connectionstatechange", changed.set)
    tasks.append(asyncio.create_task(echo(peer, changed)))
    await peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
    peer.getTransceivers()[0].direction = "sendrecv"
    await peer.setLocalDescription(await peer.createAnswer())
    return str(peer.localDescription.sdp)


# uvicorn, too, takes uvloop where it is installed.
uvloop = find_spec("uvloop") and import_module("uvloop")
serve(answer, uvloop.run if uvloop else asyncio.run)
