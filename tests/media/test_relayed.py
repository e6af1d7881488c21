"""A call between two networks that reach each other through coturn only."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

import pytest

from tests.media.relayed import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0,
    reason="network namespaces need Linux and root",
)
ROOT = Path(__file__).parents[2]
# The relay's address in each network, and that of the side.
NETWORKS = {
    "answer": ("offhook-a", "10.213.97.1", "10.213.97.2"),
    "call": ("offhook-c", "10.213.98.1", "10.213.98.2"),
}


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def programs() -> None:
    """Install what is missing, as in CI."""
    if not (shutil.which("turnserver") and shutil.which("ip")):
        if not shutil.which("apt-get"):
            pytest.skip("turnserver (coturn) or ip (iproute2) is not installed")
        run("apt-get", "update", "-q")
        run("apt-get", "install", "-y", "-q", "coturn", "iproute2")


@pytest.fixture(scope="module", autouse=True)
def networks(programs: None) -> Iterator[None]:
    """Two networks, each with a cable to this machine and no other way out."""
    import fcntl  # there is none on Windows

    with ExitStack() as stack:
        # Their names and addresses are the machine's: one run at a time has them.
        lock = stack.enter_context(Path(gettempdir(), "offhook-networks").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, ours, theirs in NETWORKS.values():
            _remove(name)  # what a run left that was killed
            try:
                run("ip", "netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespaces here: {error.stderr!r}")
            stack.callback(_remove, name)
            inner = ("ip", "-netns", name)
            run(
                "ip", "link", "add", name, "type", "veth", "peer", "eth0", "netns", name
            )
            run("ip", "address", "add", f"{ours}/24", "dev", name)
            run("ip", "link", "set", name, "up")
            run(*inner, "address", "add", f"{theirs}/24", "dev", "eth0")
            run(*inner, "link", "set", "eth0", "up")
        yield


def _remove(name: str) -> None:
    for what in (("link", "delete", name), ("netns", "delete", name)):
        subprocess.run(("ip", *what), capture_output=True, check=False)


@contextmanager
def coturn() -> Iterator[subprocess.Popen[str]]:
    """A relay that listens in both networks."""
    addresses = [f"--listening-ip={ours}" for _, ours, _ in NETWORKS.values()]
    command = (
        *("turnserver", "-n", "--no-tls", "--no-dtls", "--no-cli", "--pidfile="),
        *("--log-file=stdout", "--realm=offhook", "--use-auth-secret", "--verbose"),
        *(f"--static-auth-secret={SECRET}", *addresses, "--max-port=49300"),
    )
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        seen = 0
        for line in process.stdout:
            seen += "IPv4. UDP listener opened on" in line
            if seen == len(NETWORKS):
                break
        try:
            yield process
        finally:
            process.kill()


class Side:
    """A process in its own network."""

    def __init__(self, name: str, transport: str) -> None:
        namespace, relay, _ = NETWORKS[name]
        url = f"turn:{relay}?transport={transport}"
        inside = ("ip", "netns", "exec", namespace)
        self._process = subprocess.Popen(
            [
                *inside,
                sys.executable,
                "-m",
                "tests.media.relayed",
                name,
                url,
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "server")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._in, self._out = self._process.stdin, self._process.stdout

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        with self._process:
            pass  # waits for it, and closes its pipes

    def write(self, text: str) -> None:
        assert self._in
        self._in.write(f"{json.dumps(text)}\n")
        self._in.flush()

    def read(self) -> Any:
        assert self._out
        return json.loads(self._out.readline())

    def end(self) -> None:
        assert self._in
        self._in.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_goes_from_relay_to_relay_and_ends_without_it(transport: str) -> None:
    with (
        coturn() as relay,
        Side("answer", transport) as answerer,
        Side("call", "udp") as caller,
    ):
        offer = str(caller.read())
        assert set(re.findall(r"typ (\w+)", offer)) == {"relay"}
        answerer.write(offer)
        answer = str(answerer.read())
        assert set(re.findall(r"typ (\w+)", answer)) == {"host", "relay"}
        # Nothing but the relays' addresses, which alone their permissions are for.
        caller.write(re.sub(r"a=candidate:.* typ host.*\r\n", "", answer))
        kind, host, port, took = caller.read()
        assert kind == "relay"
        assert f" {host} {port} typ relay " in answer
        assert took < 5
        # A relay that is dead is not waited for: aioice would say goodbye for 30 s.
        relay.kill()
        relay.wait()
        answerer.end()
        assert answerer.read() < 5
