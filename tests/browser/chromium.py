"""Finds a Chromium for the tests, or installs one: `python -m tests.browser.chromium`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def executable() -> str | None:
    """Return the installed browser, or None where Playwright's own is to be used."""
    found = (shutil.which(name) for name in _NAMES)
    return next(
        (path for path in (*found, *_MAC) if path and Path(path).exists()), None
    )


def install() -> None:
    """Install a browser where there is none."""
    if executable():
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-q"], check=False)
        debian = subprocess.run(
            ["apt-get", "install", "-y", "-q", "chromium"], check=False
        )
        if debian.returncode == 0 and executable():
            return
    playwright = [sys.executable, "-m", "playwright", "install", "chromium"]
    subprocess.run(playwright, check=True)


if __name__ == "__main__":
    install()
