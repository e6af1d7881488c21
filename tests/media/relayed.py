"""One side of a call through a TURN server; test_relayed.py starts one of each.

It reads and writes descriptions as JSON, one a line. The end of its input ends it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING

from aiortc import RTCConfiguration, RTCIceServer, RTCSessionDescription
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from offhook.media import hardening, private
from offhook.media.factory import PeerFactory
from offhook.media.network import IceServer, Network, turn_credentials
from tests.caller import Caller, offer
from tests.media.calls import Ear, nothing

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection

SECRET = "north"


async def read() -> str | None:
    line = await asyncio.to_thread(sys.stdin.readline)
    return str(json.loads(line)) if line else None


def write(value: object) -> None:
    sys.stdout.write(f"{json.dumps(value)}\n")
    sys.stdout.flush()


def path(connection: RTCPeerConnection) -> list[object]:
    """The kind of candidate that is used, and the far address."""
    [transport] = private.transports(connection)
    [(protocol, address)] = private.nominated(private.ice_of(transport))
    return [protocol.local_candidate.type, *address]


async def answer(url: str) -> None:
    """Answer a call with our peer."""
    setattr(hardening, "_CLOSE_SECONDS", 0.3)  # noqa: B010 as monkeypatch does
    server = IceServer.parse(url)
    network = Network((server,), turn_secret=SECRET, candidates="lan")
    ear = Ear()
    async with PeerFactory(network) as peers, peers.make(ear, nothing) as peer:
        write(await peer.answer(await read() or ""))
        await ear.until(lambda: ear.messages and ear.pcm)
        peer.send('{"type":"pong"}')
        await read()
        began = time.monotonic()
        await peer.close()
        write(time.monotonic() - began)


async def call(url: str) -> None:
    """Call with stock aiortc, from a network that lets nothing but the relay out."""
    name, password = turn_credentials(SECRET, "caller", time.time())
    servers = [RTCIceServer(url, name, password)]
    policy = RTCIceTransportPolicy.RELAY
    caller = Caller(RTCConfiguration(servers, iceTransportPolicy=policy))
    opened = asyncio.Event()
    caller.channel.on("open", opened.set)
    write(await offer(caller))
    description = RTCSessionDescription(await read() or "", "answer")
    began = time.monotonic()
    await caller.peer.setRemoteDescription(description)
    await opened.wait()
    took = time.monotonic() - began
    caller.send("ping")
    await caller.until("pong")
    write([*path(caller.peer), took])
    await read()


if __name__ == "__main__":
    side, url = sys.argv[1:]
    asyncio.run({"answer": answer, "call": call}[side](url))
