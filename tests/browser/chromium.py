"""Finds a Chromium for the tests, or installs one when run as a program."""

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
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
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
        install = ["apt-get", "install", "-y", "-q", "chromium"]
        if subprocess.run(install, check=False).returncode == 0 and executable():
            return
    playwright = [sys.executable, "-m", "playwright", "install", "chromium"]
    subprocess.run(playwright, check=True)


if __name__ == "__main__":
    install()
