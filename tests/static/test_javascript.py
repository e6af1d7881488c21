"""Runs the tests of the JavaScript modules, which are written in JavaScript."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.timeout(60)
def test_the_javascript_modules() -> None:
    # The environment's own node first: it came with the development tools.
    bin_folder = str(Path(sys.executable).parent)
    node = shutil.which("node", path=bin_folder) or shutil.which("node")
    assert node, "There is no node: run `make install`."
    tests = sorted(map(str, HERE.glob("*.test.js")))
    assert tests
    command = [node, "--test", "--test-reporter=spec", *tests]
    run = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert run.returncode == 0, run.stdout + run.stderr
