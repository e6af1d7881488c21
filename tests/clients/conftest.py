"""What the clients' tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.records import scripted

if TYPE_CHECKING:
    from tests.clients.records import Speak


@pytest.fixture(scope="session")
async def script(speak: Speak) -> dict[str, Any]:
    """What callers say, made once."""
    return await scripted(speak)
