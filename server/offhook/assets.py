"""Finds the files that come with Offhook: `static/` and `templates/`.

A wheel has them inside the package, a checkout beside `server/`. The resource
API of importlib finds only the first.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Find the folder of this name.

    Raises:
        FileNotFoundError: Neither the wheel nor the checkout has it.
    """
    for parent in (_PACKAGE, _PACKAGE.parents[1]):
        if (parent / name).is_dir():
            return parent / name
    raise FileNotFoundError(
        f"Offhook's folder {name}/ is missing: install the offhook wheel again."
    )
