"""Where official clients call: the local endpoint, and a relay in front of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openai import AsyncOpenAI

from offhook.relay.app import create_app
from offhook.settings import Settings
from tests.relays import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOCAL = "local endpoint"
# Without agents a caller on this machine configures its session itself.
RELAY = "relay"
AGENT = "relay with an agent"

PROMPT = "canary instructions that nobody may see"


@dataclass(frozen=True)
class Place:
    """Where to call.

    Attributes:
        url: The base URL, with /v1.
        mints: Whether each session needs a key of its own.
    """

    url: str
    mints: bool

    @property
    def ws_url(self) -> str:
        return f"{self.url.replace('http', 'ws', 1)}/realtime"

    async def key(self) -> str:
        """Return a key, as a site's own server asks for one."""
        if not self.mints:
            return "sk-any"
        async with AsyncOpenAI(base_url=self.url, api_key="sk-any") as server:
            return (await server.realtime.client_secrets.create()).value


@asynccontextmanager
async def opened(name: str, local_url: str, **settings: str) -> AsyncIterator[Place]:
    """Open a place by its name."""
    if name == LOCAL:
        yield Place(local_url, mints=False)
        return
    agents = {"support": {"instructions": PROMPT}} if name == AGENT else None
    loaded = Settings.load(upstream=local_url, api_key="sk-x", **settings)
    async with serving(create_app(loaded, agents=agents)) as url:
        yield Place(f"{url}/v1", mints=True)
