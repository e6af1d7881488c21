"""A real server that is compatible with S3: SeaweedFS, for the tests' session."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import s3fs  # type: ignore[import-untyped]  # ships no types

if TYPE_CHECKING:
    from collections.abc import Iterator

_WEED = Path(sys.executable).parent / "weed"
_KEY, _SECRET = "tests", "tests-secret"
_RIGHTS = ["Admin", "Read", "Write", "List"]


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        listening = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(count)
        ]
        return [each.getsockname()[1] for each in listening]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Run a server; give its URL."""
    folder = Path(tempfile.mkdtemp(prefix="offhook-s3-"))
    (folder / "data").mkdir()
    keys = {"accessKey": _KEY, "secretKey": _SECRET}
    user = {"name": "tests", "credentials": [keys], "actions": _RIGHTS}
    (folder / "s3.json").write_text(json.dumps({"identities": [user]}))
    names = ("master", "volume", "filer", "s3")
    ports = iter(free_ports(2 * len(names)))
    options = [
        f"-{n}.port{kind}={next(ports)}" for n in names for kind in ("", ".grpc")
    ]
    options += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    options += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
    options += ["-volume.max=100", "-master.volumeSizeLimitMB=64"]
    options += [f"-dir={folder / 'data'}", f"-s3.config={folder / 's3.json'}"]
    port = int(next(o for o in options if o.startswith("-s3.port=")).split("=")[1])
    try:
        with subprocess.Popen(
            [_WEED, "-logtostderr", "server", *options],
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
        ) as server:
            assert server.stderr
            said = []
            for line in server.stderr:
                said.append(line)
                if "Start Seaweed S3 API Server" in line and str(port) in line:
                    break
            else:
                raise AssertionError("".join(said))
            # Read on: it would end by a log that nobody takes.
            reader = Thread(target=server.stderr.read)
            reader.start()
            yield f"http://127.0.0.1:{port}"
            server.kill()
            reader.join()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def s3_url(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder in a bucket of its own, with what leads to it in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", _KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", _SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    bucket = f"bucket-{uuid4().hex}"
    s3fs.S3FileSystem().mkdir(bucket)
    return f"s3://{bucket}/calls/kept"
