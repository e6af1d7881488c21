"""What a relay has left of calls that are over: 200 bridged ones, one after the other.

The relay is this process; the endpoint that answers and the callers are others. Both
sides of each call come up, the caller hears a packet, and one of the two hangs up. The
store's pool may open another connection meanwhile: a thread and two descriptors, up to
five times.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import os
import statistics
import sys
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import httpx

from offhook.relay.app import create_app
from offhook.settings import Settings
from tests.caller import calling
from tests.relays import Relay, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette

_CALLS = 200
# What is loaded once, the pool's threads and what a heap needs come with the first.
_FIRST = 100
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Held(NamedTuple):
    """What a process holds."""

    tasks: int
    threads: int
    descriptors: int
    bytes: int


def held() -> Held:
    """Count."""
    gc.collect()
    # What is free is given back: only what is held counts.
    ctypes.CDLL(None).malloc_trim(0)
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return Held(
        len(asyncio.all_tasks()),
        threading.active_count(),
        len(os.listdir("/proc/self/fd")),
        resident * _PAGE,
    )


async def until_over(app: Starlette) -> None:
    """Wait until all calls of a relay have ended, and their connections are closed."""
    limits = app.state.relay.limits
    async with asyncio.timeout(20):
        while limits.held:  # noqa: ASYNC110  # nobody else wants to know
            await asyncio.sleep(0.05)


async def measure(calls: int = _CALLS) -> None:
    """Print what is left, and how long a call took to come up."""
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(_endpoint())
        data = stack.enter_context(TemporaryDirectory())
        for leg in ("webrtc", "websocket"):
            agents = {"support": {"media": "bridged", "leg": leg}}
            settings = Settings.load(upstream=upstream, data=data)
            app = create_app(settings, agents=agents)
            async with serving(app) as url:
                await _call(url, _FIRST)
                await until_over(app)
                before = held()
                seconds = await _call(url, calls)
                await until_over(app)
                after = held()
            left = [now - then for now, then in zip(after, before, strict=True)]
            print(  # noqa: T201
                f"{calls} calls, {leg}: {left[0]} tasks, {left[1]} threads, "
                f"{left[2]} descriptors and {left[3] / 2**20:.1f} MiB more than "
                f"before; set-up {1000 * statistics.median(seconds):.0f} ms (median)"
            )


@asynccontextmanager
async def _endpoint() -> AsyncIterator[str]:
    command = [sys.executable, "-m", "offhook", "local", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr
    try:
        async with asyncio.timeout(20):
            line = (await process.stderr.readline()).decode()
        reading = asyncio.create_task(_drop(process.stderr))  # so that it can write
        yield line.split()[-1]
        reading.cancel()
    finally:
        process.terminate()
        await process.wait()


async def _drop(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


async def _call(url: str, calls: int) -> list[float]:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.benchmarks.leaks", "--call", url, str(calls)],
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return [float(line) for line in out.split()]


async def call(url: str, calls: int) -> None:
    """Be the callers: print how long each call took to come up."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        relay = Relay(url, client)
        for number in range(calls):
            key = await relay.grant()
            began = time.perf_counter()
            async with calling(f"{url}/v1", key=key, whole=False) as caller:
                up = time.perf_counter()
                async with asyncio.timeout(10):
                    while not caller.heard:
                        await caller.heard_more()
                if number % 2:
                    path = f"/v1/realtime/calls/{caller.call_id}/hangup"
                    headers = {"Authorization": f"Bearer {key}"}
                    await client.post(path, headers=headers)
            print(f"{up - began:.4f}")  # noqa: T201


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=_CALLS)
    parser.add_argument("--call", nargs=2, metavar=("URL", "CALLS"))
    given = parser.parse_args()
    if given.call:
        asyncio.run(call(given.call[0], int(given.call[1])))
    else:
        asyncio.run(measure(given.calls))


if __name__ == "__main__":
    main()
