"""What carrying a call costs, and how much later one hears: ours beside others' echoes.

Every server echoes what it gets: it is alone on one core, and a light load of calls
(`load.py`) on another. Each stands in an environment of its own, which is made once and
kept in `.venv/bench`; who cannot be installed is left out. The rounds of all servers
are interleaved, since other work on the machine disturbs all alike: trust the ratios.

- CPU: milliseconds of the server's process for one second of one call, by its process
  times; the median of the rounds. An echo has one leg: a bridged call, which has two,
  costs twice as much.
- later: how much later a chirp is heard than it was said, median and worst, as for one
  who plays each packet as it comes; 20 ms of packet and the caller's own codec are not
  in it. p99 is of all packets, where they are passed on, in the best round.
- back: how many packets came back of 100 that were sent.

Ours passes packets on, or also taps them, or records what is said and what is heard,
or mixes: decodes, adds a hum and encodes. Over WebSocket it is a bridged call whose
model says what it hears: it decodes, encodes, and plays in real time.
It is on uvloop where that is installed, as under uvicorn.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import chart, janus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
ECHOES = Path(__file__).parent / "echoes"
CACHE = ROOT / ".venv/bench"
CHART = CACHE / "media.svg"
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
JANUS_PORT = 18088
SERVER_CORE, LOAD_CORE = 0, 1


@dataclass(frozen=True)
class Echo:
    """A server, and how it is had.

    Attributes:
        name: As it is shown.
        script: Of the folder of echoes, with its arguments.
        packages: What its environment has; none for our own environment.
        path: Of its URL.
    """

    name: str
    script: str
    packages: str = ""
    path: str = "/offer"


PASSING = Echo("offhook", "ours.py")
TAPPED = Echo("offhook, tapped", "ours.py tap")
RECORDING = Echo("offhook, recording", "ours.py record")
MIXING = Echo("offhook, mixing", "ours.py mix")
SOCKETED = Echo("offhook, WebSocket", "socketed.py")
STOCK = Echo("aiortc", "stock.py")
WRTC = Echo("wrtc", "libwebrtc.py", "wrtc==0.1.0 av numpy pyee")
PIPECAT = Echo("pipecat", "smallwebrtc.py", "pipecat-ai[webrtc]==1.14.0 aiohttp")
FASTRTC = Echo("FastRTC", "fast_rtc.py", "fastrtc==0.0.34", "/webrtc/offer")
JANUS = Echo("Janus", "janus", path="/janus")

# Who, calls, seconds, loss in percent; in this order, so often.
FEW = [(PASSING, 10, 4.0, 0), (RECORDING, 10, 4.0, 0)]
FEW += [(e, 10, 4.0, 0) for e in (MIXING, SOCKETED, WRTC, JANUS)]
FEW += [(e, 6, 4.0, 0) for e in (STOCK, PIPECAT, FASTRTC)]
MANY = [(e, 30, 4.0, 0) for e in (PASSING, RECORDING, JANUS, TAPPED)]
ONCE = [(e, 4, 6.0, 1) for e in (PASSING, MIXING, SOCKETED, WRTC, STOCK)]
ONCE += [(PASSING, 100, 4.0, 0)]
ROUNDS = [*FEW, *MANY, *ONCE, *MANY, *FEW, *MANY]

Key = tuple[Echo, int, int]


@dataclass
class Measured:
    """All rounds of one server with so many calls."""

    cpu_ms: list[float] = field(default_factory=list)
    chirps_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    sent: int = 0
    lost: int = 0
    received: int = 0

    @property
    def cpu(self) -> float:
        return statistics.median(self.cpu_ms)

    @property
    def later(self) -> float:
        return statistics.median(self.chirps_ms) if self.chirps_ms else float("nan")


class Servers:
    """The echoes that run; each is started when it is needed first."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._running: dict[Echo, tuple[int, str] | None] = {}

    async def get(self, echo: Echo) -> tuple[int, str] | None:
        """Return the process and the URL of a server; None if it cannot be had."""
        if echo not in self._running:
            try:
                self._running[echo] = await self._start(echo)
            except (OSError, RuntimeError, TimeoutError) as error:
                show(f"{echo.name} is left out: {error}")
                self._running[echo] = None
        return self._running[echo]

    async def _start(self, echo: Echo) -> tuple[int, str]:
        if echo is JANUS:
            return await self._start_janus()
        python = await environment(echo)
        script, *arguments = echo.script.split()
        command = [python, str(ECHOES / script), *arguments]
        process = await self._stack.enter_async_context(pinned(SERVER_CORE, *command))
        assert process.stdout
        async with asyncio.timeout(90):
            while not (line := await process.stdout.readline()).strip().isdigit():
                if not line:
                    raise RuntimeError(f"{echo.script} ended at once")
        return process.pid, f"http://127.0.0.1:{int(line)}{echo.path}"

    async def _start_janus(self) -> tuple[int, str]:
        if shutil.which("janus") is None:
            await run(
                "apt-get", "install", "-y", "-q", "--no-install-recommends", "janus"
            )
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        janus.configure(folder, JANUS_PORT)
        command = ["janus", "-F", str(folder), "-C", str(folder / "janus.jcfg")]
        process = await self._stack.enter_async_context(pinned(SERVER_CORE, *command))
        await janus.listening(JANUS_PORT)
        return process.pid, f"http://127.0.0.1:{JANUS_PORT}{JANUS.path}"


async def measure() -> None:
    """Print a table, and draw a chart, of what all cost."""
    show(f"media: {len(ROUNDS)} rounds; the load was {os.getloadavg()[0]:.1f} before")
    found: dict[Key, Measured] = {}
    async with AsyncExitStack() as stack:
        servers = Servers(stack)
        for echo, calls, seconds, loss in ROUNDS:
            server = await servers.get(echo)
            if server:
                key = (echo, calls, loss)
                kept = found.setdefault(key, Measured())
                await add_round(kept, server, calls, seconds, loss)
    report(found)
    show(f"the load was {os.getloadavg()[0]:.1f} after; the chart is {CHART}")


async def add_round(
    kept: Measured, server: tuple[int, str], calls: int, seconds: float, loss: int
) -> None:
    pid, url = server
    numbers = [url, str(calls), str(seconds), str(loss / 100)]
    command = [sys.executable, "-m", "tests.benchmarks.load", *numbers]
    async with pinned(LOAD_CORE, *command) as load:
        assert load.stdout
        try:
            async with asyncio.timeout(60 + 2 * seconds):
                await load.stdout.readuntil(b"up\n")
                before = cpu_ms(pid)
                await load.stdout.readuntil(b"over\n")
                spent = cpu_ms(pid) - before
                result = json.loads(await load.stdout.read())
                await load.wait()
        except (TimeoutError, asyncio.IncompleteReadError, ValueError):
            show(f"a round of {calls} calls with {url} failed")
            return
    kept.cpu_ms.append(spent / calls / seconds)
    kept.chirps_ms += result["chirps"]
    if packets := sorted(result["packets"]):
        kept.p99_ms.append(packets[int(0.99 * len(packets))])
    kept.sent += result["sent"]
    kept.lost += result["lost"]
    kept.received += result["received"]


def cpu_ms(pid: int) -> float:
    """The time that a process has taken, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_MS


async def environment(echo: Echo) -> str:
    """Make the environment of an echo, once, and return its Python."""
    if not echo.packages:
        return sys.executable
    folder = CACHE / Path(echo.script).stem
    python = folder / "bin/python"
    stamp = folder / "stamp"
    if not stamp.exists() or stamp.read_text() != echo.packages:
        show(f"installing {echo.packages} into {folder} …")
        await run(sys.executable, "-m", "venv", "--clear", str(folder))
        await run(str(python), "-m", "pip", "install", "-q", *echo.packages.split())
        stamp.write_text(echo.packages)
    return str(python)


async def run(*command: str) -> None:
    """Run a command to its end.

    Raises:
        RuntimeError: It failed.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise RuntimeError(f"`{' '.join(command)}` failed")


@asynccontextmanager
async def pinned(core: int, *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command until the block ends, on one core where there are several."""
    if shutil.which("taskset") and (os.cpu_count() or 1) > max(SERVER_CORE, LOAD_CORE):
        command = ("taskset", "-c", str(core), *command)
    path = os.pathsep.join([str(ROOT / "server"), str(ROOT)])
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=2**24,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def report(found: dict[Key, Measured]) -> None:
    row("", "calls", "loss %", "CPU ms", "later ms", "p99 ms", "back %")
    for (echo, calls, loss), kept in found.items():
        if kept.cpu_ms:
            row(
                echo.name,
                calls,
                loss,
                f"{kept.cpu:.1f}",
                f"{kept.later:.1f} ({max(kept.chirps_ms, default=0):.0f})",
                f"{min(kept.p99_ms):.1f}" if kept.p99_ms else "-",
                f"{100 * kept.received / kept.sent:.1f}",
            )
    for name, value, goal in goals(found):
        verdict = "as" if value <= goal else "NOT as"
        show(f"{name}: {value:.2f}, {verdict} wanted ({goal})")
    drawn = {k: v for k, v in found.items() if v.cpu_ms and not k[2]}
    names = [f"{echo.name}, {calls} calls" for echo, calls, _ in drawn]
    CHART.parent.mkdir(parents=True, exist_ok=True)
    bars = chart.bars(
        names,
        {
            "CPU, ms per second of a call": [kept.cpu for kept in drawn.values()],
            "heard later by, ms": [kept.later for kept in drawn.values()],
        },
    )
    CHART.write_text(bars, "utf-8")


def goals(found: dict[Key, Measured]) -> list[tuple[str, float, float]]:
    """What was wanted, beside what was found."""

    def get(echo: Echo, calls: int, loss: int = 0) -> Measured | None:
        kept = found.get((echo, calls, loss))
        return kept if kept and kept.cpu_ms else None

    results = []
    for name, one, other, goal in (
        ("CPU, passing / aiortc", (PASSING, 30), (STOCK, 6), 1 / 12),
        ("CPU, passing / Janus", (PASSING, 30), (JANUS, 30), 1.25),
        ("CPU, mixing / pipecat", (MIXING, 10), (PIPECAT, 6), 1 / 5),
        ("CPU, mixing / wrtc", (MIXING, 10), (WRTC, 10), 0.8),
    ):
        mine, theirs = get(*one), get(*other)
        if mine and theirs:
            results.append((name, mine.cpu / theirs.cpu, round(goal, 3)))
    for name, one, goal in (
        ("ms later, passing", (PASSING, 10), 10.0),
        ("ms later, mixing", (MIXING, 10), 25.0),
    ):
        if mine := get(*one):
            results.append((name, mine.later, goal))
    mine, theirs = get(RECORDING, 30), get(PASSING, 30)
    if mine and theirs:
        results.append(("CPU ms more, recording", mine.cpu - theirs.cpu, 1.5))
    if mine := get(PASSING, 100):
        results.append(("ms p99, 100 calls", min(mine.p99_ms), 60.0))
    for name, echo in (("passing", PASSING), ("mixing", MIXING)):
        if mine := get(echo, 4, 1):
            results.append((f"ms later, {name}, 1 % loss", mine.later, 35.0))
            missing = (mine.sent - mine.received) / max(1, mine.lost)
            results.append((f"frames missing / lost, {name}", missing, 1.1))
    return results


def show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def row(name: str, *cells: object) -> None:
    show(f"{name:<18}" + "".join(f"{cell!s:>13}" for cell in cells))


if __name__ == "__main__":
    asyncio.run(measure())
