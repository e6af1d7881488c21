"""Makes of what a recorder wrote what people listen to and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def master(
    folder: Path, progress: Callable[[float], None]
) -> tuple[float, list[Path]]:
    """See `recordings.Master`."""
    raise AssertionError((folder, progress))
