from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from offhook import __version__
from offhook.cli import main
from offhook.settings import LocalSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def environment() -> dict[str, str]:
    ours = ("OFFHOOK_", "OPENAI_")
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(ours)}
    return kept | {"PYTHONPATH": os.pathsep.join(["", *sys.path])}


@contextmanager
def offhook(*arguments: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "offhook", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=cwd,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def opened(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    found = re.fullmatch(r"Open (http://localhost:\d+/)\n", process.stdout.readline())
    assert found, process.stderr and process.stderr.read()
    return found[1]


UPSTREAM = ("--upstream", "http://127.0.0.1:1")


def test_serve_says_where_and_ends_quickly_with_open_connections(
    tmp_path: Path,
) -> None:
    with offhook("serve", "--port", "0", *UPSTREAM, cwd=tmp_path) as process:
        url = opened(process)
        port = httpx.URL(url).port
        assert httpx.get(url, trust_env=False).status_code == 200
        with (
            socket.create_connection(("127.0.0.1", port)) as idle,
            socket.create_connection(("127.0.0.1", port)) as stalled,
        ):
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert idle.recv(1)
            stalled.sendall(
                b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
            )
            before = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, log = process.communicate(timeout=30)
        assert time.monotonic() - before < 5
    assert process.returncode == 0
    assert "Traceback" not in log


def test_without_the_extras_the_page_stands_and_says_what_to_install(
    tmp_path: Path,
) -> None:
    # An empty module stands in the way of numpy, as where it is not installed.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys; sys.modules['numpy'] = None"
    )
    with offhook("serve", "--port", "0", cwd=tmp_path) as process:
        url = opened(process)
        assert httpx.get(url, trust_env=False).status_code == 200
        minted = httpx.post(f"{url}v1/realtime/client_secrets", trust_env=False)
        assert minted.json()["error"]["code"] == "missing_extra"
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=30)
    assert "pip install 'offhook[local]'" in log
    assert "Traceback" not in log


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        offhook(
            "serve", *UPSTREAM, "--port", str(taken.getsockname()[1]), cwd=tmp_path
        ) as process,
    ):
        _, log = process.communicate(timeout=20)
    assert process.returncode == 1
    [line] = [line for line in log.splitlines() if line.startswith("offhook:")]
    assert "OFFHOOK_PORT" in line
    assert "Traceback" not in log


def test_a_wrong_setting_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "canary"]) == 2
    assert main(["local", "--port", "canary"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["offhook"] * 2
    assert "OFFHOOK_PORT" in lines[0]
    assert "OFFHOOK_LOCAL_PORT" in lines[1]


def test_strangers_at_the_operators_cost_are_warned_of(tmp_path: Path) -> None:
    arguments = ("serve", "--host", "0.0.0.0", "--port", "0", *UPSTREAM)
    with offhook(*arguments, "--api-key", "sk-canary", cwd=tmp_path) as process:
        opened(process)
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=30)
    assert "WARNING" in log
    assert "OFFHOOK_AGENTS" in log
    assert "canary" not in log


@pytest.mark.parametrize(
    ("command", "model"), [("serve", Settings), ("local", LocalSettings)]
)
def test_every_setting_is_a_flag(
    command: str,
    model: type[Settings] | type[LocalSettings],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, field in model.model_fields.items():
        assert f"--{name.replace('_', '-')} VALUE" in text
        assert f"{field.description} ({model.variables(name)[0]}" in text


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"offhook {__version__}\n"
