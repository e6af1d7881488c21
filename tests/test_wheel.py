"""The built wheel is complete, and serves the page where nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder)]
    if find_spec("hatchling"):
        command.append("--no-isolation")
    run = subprocess.run([*command, str(ROOT)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    target = ["--no-index", "--target", str(folder), str(wheel)]
    run = subprocess.run([*command, *target], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def environment(installed: Path) -> dict[str, str]:
    # Before the checkout, which is further back on the path if it is there at all.
    return os.environ | {"PYTHONPATH": str(installed)}


def test_it_contains_what_belongs_to_it(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    for folder, home in (
        ("server/offhook", "offhook"),
        ("static", "offhook/static"),
        ("templates", "offhook/templates"),
    ):
        files = (path for path in (ROOT / folder).rglob("*") if path.is_file())
        for file in files:
            if "__pycache__" not in file.parts:
                name = f"{home}/{file.relative_to(ROOT / folder).as_posix()}"
                assert name in names
                names.remove(name)
    top = {name.partition("/")[0] for name in names}
    assert len(top) == 1
    assert top.pop().endswith(".dist-info")


def test_pytest_finds_its_fixtures(installed: Path, tmp_path: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "--fixtures", "-q", "-W", "error"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(installed),
    )
    assert "\nrealtime -- " in listed.stdout, listed.stdout + listed.stderr
    assert "offhook/pytest_plugin.py" in listed.stdout


def test_it_makes_the_tables_of_its_store(installed: Path, tmp_path: Path) -> None:
    lines = (
        "import asyncio",
        "from offhook.archive.store import Store",
        "async def main():",
        "    async with Store.open('sqlite:///calls.db') as store:",
        "        print(await store.agents())",
        "asyncio.run(main())",
    )
    run = subprocess.run(
        [sys.executable, "-P", "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(installed),
    )
    assert run.stdout == "[]\n", run.stderr


def test_it_serves_the_page_elsewhere(installed: Path, tmp_path: Path) -> None:
    where = subprocess.run(
        [sys.executable, "-P", "-c", "import offhook; print(offhook.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment(installed),
    )
    assert Path(where.stdout.strip()) == installed / "offhook/__init__.py"
    serve = [str(installed / "bin/offhook"), "serve", "--port", "0"]
    with (
        (tmp_path / "log").open("w+") as log,
        subprocess.Popen(
            [*serve, "--upstream", "http://127.0.0.1:9/v1"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=tmp_path,
            env=environment(installed),
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Open http://localhost:"), log.seek(0) or log.read()
            url = line.split()[1].replace("localhost", "127.0.0.1")
            with httpx.Client(base_url=url, trust_env=False) as client:
                assert "<offhook-call" in client.get("/").text
                for name in ("offhook.js", "offhook-call-define.js"):
                    script = client.get(f"/static/{name}")
                    assert script.text == (ROOT / "static" / name).read_text("utf-8")
            process.send_signal(signal.SIGINT)
            before = time.monotonic()
            assert process.wait(30) == 0
            assert time.monotonic() - before < 5
        finally:
            process.kill()
