"""What the relay's WebSocket costs, beside a plain proxy and beside nginx.

Every caller sends an audio event each 40 ms, which an echo sends back: two events pass
the proxy. All run in one go, each in a process of its own, round after round; given are
the medians of the rounds:

- cpu: user and system time of the proxy's process, for one event.
- delay: from sending to the echo; added: how much more than without a proxy.
- flood: the delay of the others while one caller sends 10,000 events a second,
  and how many times that is of the delay without it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

CALLERS = 20
ROUNDS = 3
ROUND_S = 4.0
EVENT_S = 0.04
FLOOD = 10_000

_AUDIO = base64.b64encode(os.urandom(1920)).decode()
_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Proxy:
    """A server under test.

    Attributes:
        url: Its HTTP base.
        pid: Its process; none for the echo itself.
        mints: Whether it wants a grant for each session.
    """

    url: str
    pid: int | None = None
    mints: bool = False

    @asynccontextmanager
    async def session(
        self, client: httpx.AsyncClient
    ) -> AsyncIterator[ClientConnection]:
        key = "any"
        if self.mints:
            minted = await client.post(f"{self.url}/v1/realtime/client_secrets")
            key = minted.json()["value"]
        url = self.url.replace("http", "ws", 1) + "/v1/realtime"
        async with connect(
            url,
            additional_headers={"Authorization": f"Bearer {key}"},
            compression=None,
            close_timeout=0.5,
        ) as socket:
            await socket.recv()
            yield socket

    def cpu(self) -> float:
        """Seconds that it has worked so far, with its children."""
        return sum(map(_cpu, _family(self.pid))) if self.pid else 0.0


@dataclass
class Figures:
    """What the rounds gave, in seconds."""

    cpu: list[float] = field(default_factory=list)
    delay: list[float] = field(default_factory=list)
    flooded: list[float] = field(default_factory=list)


async def measure() -> None:
    """Print the table."""
    figures: dict[str, Figures] = defaultdict(Figures)
    async with AsyncExitStack() as stack:
        proxies = await _proxies(stack)
        for _ in range(ROUNDS):
            for name, proxy in proxies.items():
                await _round(proxy, figures[name])
    _show(figures)


async def _proxies(stack: AsyncExitStack) -> dict[str, Proxy]:
    echo = await stack.enter_async_context(_running("tests.benchmarks.echo"))
    target = echo.url.replace("http", "ws", 1) + "/v1/realtime"
    proxies = {"no proxy": Proxy(echo.url)}
    plain = _running("tests.benchmarks.plain", target)
    proxies["starlette + websockets"] = await stack.enter_async_context(plain)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    (folder / "agents.toml").write_text('[support]\ninstructions = "Be brief."\n')
    relay = await stack.enter_async_context(
        _running(
            "offhook",
            "serve",
            "--port=0",
            "--log-level=warning",
            f"--upstream={echo.url}",
            f"--agents={folder / 'agents.toml'}",
        )
    )
    relay.mints = True
    proxies["offhook"] = relay
    if nginx := await _nginx(folder, echo.url):
        proxies["nginx stream"] = await stack.enter_async_context(nginx)
    return proxies


@asynccontextmanager
async def _running(module: str, *arguments: str) -> AsyncIterator[Proxy]:
    """Run a server that prints its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        line = (await process.stdout.readline()).decode()
        yield Proxy(line.split()[-1].rstrip("/"), process.pid)
    finally:
        process.terminate()
        await process.wait()


async def _nginx(
    folder: Path, target: str
) -> contextlib.AbstractAsyncContextManager[Proxy] | None:
    if not shutil.which("nginx") and os.getuid() == 0 and shutil.which("apt-get"):
        install = "apt-get update -q && apt-get install -y -q nginx libnginx-mod-stream"
        process = await asyncio.create_subprocess_shell(
            install, stdout=asyncio.subprocess.DEVNULL
        )
        await process.wait()
    module = _MODULE
    if not shutil.which("nginx") or not module.is_file():
        _line("nginx is not there (Debian: apt install nginx libnginx-mod-stream)")
        return None
    return _serving_nginx(folder, module, target.partition("//")[2])


@asynccontextmanager
async def _serving_nginx(
    folder: Path, module: Path, target: str
) -> AsyncIterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "nginx.conf").write_text(
        f"load_module {module}; daemon off; worker_processes 1; user root;"
        f"pid {folder}/pid; error_log {folder}/log; events {{}}"
        f"stream {{ server {{ listen 127.0.0.1:{port}; proxy_pass {target}; }} }}"
    )
    process = await asyncio.create_subprocess_exec(
        "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")
    )
    try:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
        yield Proxy(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        await process.wait()


async def _round(proxy: Proxy, figures: Figures) -> None:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        callers = [
            await stack.enter_async_context(proxy.session(client))
            for _ in range(CALLERS)
        ]
        before = proxy.cpu()
        delays = await _talk(callers)
        figures.cpu.append((proxy.cpu() - before) / (2 * len(delays)))
        figures.delay.append(statistics.median(delays))
        flooder = await stack.enter_async_context(proxy.session(client))
        flooding = asyncio.create_task(_flood(flooder))
        figures.flooded.append(statistics.median(await _talk(callers)))
        flooding.cancel()
        await asyncio.wait([flooding])


async def _talk(callers: Sequence[ClientConnection]) -> list[float]:
    """Let all talk at real pace, and return each event's time to its echo."""
    results = await asyncio.gather(
        *(
            _caller(caller, EVENT_S * number / len(callers))
            for number, caller in enumerate(callers)
        )
    )
    return [delay for delays in results for delay in delays]


async def _caller(socket: ClientConnection, offset: float) -> list[float]:
    count = round(ROUND_S / EVENT_S)
    delays = []

    async def listen() -> None:
        for _ in range(count):
            text = await socket.recv()
            sent = float(json.loads(text)["event_id"])
            delays.append(time.perf_counter() - sent)

    listening = asyncio.create_task(listen())
    begin = time.perf_counter() + offset
    for number in range(count):
        await asyncio.sleep(begin + number * EVENT_S - time.perf_counter())
        await socket.send(_append(str(time.perf_counter())))
    await listening
    return delays


async def _flood(socket: ClientConnection) -> None:
    """Send as fast as it is taken, at most 10,000 events a second."""

    async def listen() -> None:
        async for _ in socket:
            pass

    event = _append("flood")
    listening = asyncio.create_task(listen())
    begin, sent = time.perf_counter(), 0
    try:
        while True:
            await asyncio.sleep(0.005)
            due = round((time.perf_counter() - begin) * FLOOD)
            for _ in range(min(due - sent, FLOOD)):
                await socket.send(event)
            sent = due
    except ConnectionClosed:
        pass
    finally:
        listening.cancel()


def _append(event_id: str) -> str:
    event = {"type": "input_audio_buffer.append", "event_id": event_id}
    return json.dumps({**event, "audio": _AUDIO})


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def _show(figures: dict[str, Figures]) -> None:
    middle = {
        name: [statistics.median(values) for values in (f.cpu, f.delay, f.flooded)]
        for name, f in figures.items()
    }
    bare = middle["no proxy"][1]
    _row("proxy", "cpu us", "delay ms", "added ms", "flood ms", "times")
    for name, (cpu, delay, flooded) in middle.items():
        _row(
            name,
            f"{1e6 * cpu:.0f}",
            f"{1e3 * delay:.2f}",
            f"{1e3 * (delay - bare):.2f}",
            f"{1e3 * flooded:.2f}",
            f"{flooded / delay:.2f}",
        )
    for name in ("starlette + websockets", "nginx stream"):
        if name in middle:
            ratio = middle["offhook"][0] / middle[name][0]
            _line(f"websocket: {ratio:.2f} times the cpu of {name}")


def _row(name: str, *cells: str) -> None:
    _line(f"{name:<24}" + "".join(f"{cell:>10}" for cell in cells))


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    asyncio.run(measure())
