from __future__ import annotations

import subprocess
import sys

import pytest

import offhook

HEAVY = ("aiortc", "av", "numpy", "onnxruntime", "starlette", "agents", "mcp")


def test_importing_loads_nothing_heavy() -> None:
    code = f"import sys, offhook; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"


def test_every_public_name_is_there_and_sorted() -> None:
    assert offhook.__all__ == sorted(offhook.__all__)
    for name in offhook.__all__:
        assert getattr(offhook, name) is not None
        assert name in dir(offhook)


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = offhook.nothing
