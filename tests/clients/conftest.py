"""What the clients' tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.places import LOCAL, Place, opened
from tests.clients.records import scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.clients.records import Speak


@pytest.fixture(scope="session")
async def script(speak: Speak) -> dict[str, Any]:
    """What callers say, made once."""
    return await scripted(speak)


@pytest.fixture
async def place(local_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Where to call: the local endpoint, or what a test's parameter says."""
    async with opened(getattr(request, "param", LOCAL), local_url) as place:
        yield place
