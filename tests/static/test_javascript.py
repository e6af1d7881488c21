"""Runs the tests of the JavaScript modules, which are written in JavaScript."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.javascript import node

HERE = Path(__file__).parent


def test_the_javascript_modules() -> None:
    tests = sorted(map(str, HERE.glob("*.test.js")))
    assert tests
    command = [node(), "--test", "--test-reporter=spec", *tests]
    run = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert run.returncode == 0, run.stdout + run.stderr
