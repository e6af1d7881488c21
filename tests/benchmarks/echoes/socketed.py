"""A bridged call whose model is held over WebSocket, and says what it hears.

The model has a process of its own, on any other core: what it costs is not counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from signalling import serve  # type: ignore[import-not-found]  # beside this script
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_sockets

from offhook.archive.records import CallRecord
from offhook.media.factory import PeerFactory
from offhook.relay.bridged import BridgedCall
from offhook.relay.calls import Calls
from offhook.relay.model_legs import socket_leg
from offhook.relay.routes import policy_for
from offhook.upstream.openai import OpenAIUpstream

if TYPE_CHECKING:
    from collections.abc import Mapping

calls = Calls()
SESSION: Mapping[str, Any] = {"type": "realtime", "model": "echo"}
AUDIO = re.compile(r'"audio" ?: ?"([^"]*)"')
SAID = {
    "type": "response.output_audio.delta",
    "response_id": "resp_1",
    "item_id": "item_1",
    "output_index": 0,
    "content_index": 0,
}


async def repeat(socket: ServerConnection) -> None:
    """Say what is heard."""
    await socket.send(json.dumps({"type": "session.created", "session": SESSION}))
    head = json.dumps(SAID)[:-1]
    async for text in socket:
        assert isinstance(text, str)
        if '"input_audio_buffer.append"' in text:
            found = AUDIO.search(text)
            assert found
            await socket.send(f'{head}, "delta": "{found[1]}"}}')
        elif '"session.update"' in text:
            updated = {"type": "session.updated", "session": SESSION}
            await socket.send(json.dumps(updated))


async def model() -> None:
    async with serve_sockets(repeat, "127.0.0.1", 0, compression=None) as server:
        [socket] = server.sockets
        sys.stdout.write(f"{socket.getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()


def started() -> str:
    """Start the model, and return its URL; it ends with this process's pipe."""
    command = [sys.executable, __file__, "model"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    running.append(process)
    assert process.stdout
    return f"http://127.0.0.1:{process.stdout.readline().strip()}"


async def answer(sdp: str) -> str:
    leg = socket_leg(upstream, SESSION)
    policy = policy_for(SESSION, fixed=True)
    call = BridgedCall(leg, policy, SESSION, peers, seconds=600)
    record = CallRecord(call.call_id, "echo", "bridged", time.time())
    live = calls.begin(record, "grant", call.hang_up)
    tasks.append(asyncio.create_task(call.run(live)))
    return await call.answer(sdp)


async def until_left() -> None:
    """Return when whoever started this has gone."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    protocol = asyncio.StreamReaderProtocol(reader)
    await loop.connect_read_pipe(lambda: protocol, sys.stdin)
    await reader.read()


async def run_model() -> None:
    serving = asyncio.create_task(model())
    await until_left()
    serving.cancel()


uvloop = find_spec("uvloop") and import_module("uvloop")
run = uvloop.run if uvloop else asyncio.run
if "model" in sys.argv:
    if hasattr(os, "sched_setaffinity"):
        others = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
        os.sched_setaffinity(0, others or {0})
    run(run_model())
else:
    running: list[subprocess.Popen[str]] = []
    tasks: list[asyncio.Task[None]] = []
    upstream = OpenAIUpstream(started())
    peers = PeerFactory()
    calls = Calls()
    serve(answer, run)
