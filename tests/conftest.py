"""What many tests share: the loaded models, and a running local endpoint."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from offhook.local import serving
from offhook.settings import LocalSettings
from offhook.speech import Engines
from tests.databases import database_url, postgres
from tests.javascript import misread
from tests.official import SEEN
from tests.relays import clean_environment, recorder, relay, running
from tests.storages import s3_server, s3_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator


__all__ = [
    "clean_environment",
    "database_url",
    "postgres",
    "recorder",
    "relay",
    "running",
    "s3_server",
    "s3_url",
]

# How long an example takes depends on what else the machine does.
slow = HealthCheck.too_slow
settings.register_profile("unhurried", deadline=None, suppress_health_check=[slow])
settings.load_profile("unhurried")


def pytest_collection_finish() -> None:
    """Take what is there for good out of each search for garbage that a test makes."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def every_event_is_read_by_javascript() -> Iterator[None]:
    """Let the official JavaScript SDK read what the tests saw, all at once."""
    yield
    assert misread(SEEN.values()) == []


@pytest.fixture(scope="session")
async def engines() -> AsyncIterator[Engines]:
    async with Engines.load(LocalSettings.model_validate({})) as loaded:
        yield loaded


@pytest.fixture(scope="session")
async def speak(engines: Engines) -> Callable[[str], Awaitable[bytes]]:
    """Say a sentence as 24 kHz PCM, in a voice that no answer has."""

    async def say(text: str) -> bytes:
        return b"".join([pcm async for pcm in engines.synthesise(text, "echo")])

    return say


@pytest.fixture(scope="session")
async def local_url(engines: Engines) -> AsyncIterator[str]:
    """The base URL of a local endpoint; `engines` first, as loading is shared."""
    async with serving(LocalSettings.model_validate({"port": 0})) as url:
        yield url
