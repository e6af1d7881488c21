"""Loads packages of the extra "local", which an installation need not have."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from offhook.errors import MissingExtra

if TYPE_CHECKING:
    from types import ModuleType


def require(module: str, package: str) -> ModuleType:
    """Import a module of the extra "local".

    Raises:
        MissingExtra: It is not installed; the message tells how to.
    """
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtra("local", package) from None
