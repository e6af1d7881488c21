"""The pytest plugin: a local endpoint as a fixture, started by its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offhook.testing import Realtime


@pytest.fixture(scope="session")
def offhook_endpoint() -> Iterator[Realtime]:
    """A local endpoint for the whole run; faults armed on it stay."""
    # Here, as every run of pytest imports this module, whether it uses it or not.
    from offhook.testing import endpoint

    with endpoint() as running:
        yield running


@pytest.fixture
def realtime(offhook_endpoint: Realtime) -> Iterator[Realtime]:
    """The same for one test, after which no fault is left."""
    yield offhook_endpoint
    offhook_endpoint.clear_faults()
