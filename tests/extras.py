"""What is said where an extra is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import offhook

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVER = Path(offhook.__file__).parents[1]


def without(module: str, *before: str) -> Callable[[str], str]:
    """Return what runs a line where a module is not installed, and returns its error.

    In a process of its own: what was imported once cannot be taken back.
    """

    def run(line: str) -> str:
        lines = ("import sys", f"sys.modules[{module!r}] = None", *before, line)
        process = subprocess.run(
            [sys.executable, "-c", "\n".join(lines)],
            env={**os.environ, "PYTHONPATH": str(_SERVER)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert process.returncode == 1, process.stderr
        return process.stderr.splitlines()[-1]

    return run
