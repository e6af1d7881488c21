"""Makes of what a recorder wrote what people listen to and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offhook.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def master(
    folder: Path, progress: Callable[[float], None]
) -> tuple[float, list[Path]]:
    """See `recordings.Master`."""
    try:
        # Loaded only when needed: it brings the media extra with it.
        from offhook.media import mastering
    except ModuleNotFoundError as error:
        raise MissingExtra("media", str(error.name)) from None
    return await mastering.master(folder, progress)
