from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import offhook
from offhook import __version__
from offhook.errors import InvalidRequest
from offhook.transports.cloudflare import CloudflareRealtimeTransportLayer
from tests.transports.conformance import Conformance, got, upcoming
from tests.upgrades import Upgrades, upgrading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.transports.conformance import Make

pytestmark = pytest.mark.anyio

# What Pyodide has not by itself, or can do nothing with.
ABSENT = ("websockets", "httpx", "aiortc", "numpy", "pydantic", "starlette", "anyio")


@pytest.fixture
async def upgrades() -> AsyncIterator[Upgrades]:
    async with upgrading() as made:
        yield made


class TestCloudflare(Conformance):
    @pytest.fixture
    def make(self, upgrades: Upgrades) -> Make:
        return lambda url: CloudflareRealtimeTransportLayer(
            url=url, api_key="sk-any", fetch=upgrades.fetch
        )


async def test_the_request_is_an_upgrade(local_url: str, upgrades: Upgrades) -> None:
    url = local_url.replace("http", "ws", 1) + "/realtime?model=gpt-realtime"
    async with CloudflareRealtimeTransportLayer(
        url=url, api_key="sk-any", headers={"X-Mine": "yes"}, fetch=upgrades.fetch
    ) as client:
        updated = upcoming(client, "session.updated")
        await client.connect()
        await got(updated)
    assert upgrades.requests == [
        (
            f"{local_url}/realtime?model=gpt-realtime",
            {
                "method": "GET",
                "headers": {
                    "Upgrade": "websocket",
                    "Authorization": "Bearer sk-any",
                    "Sec-WebSocket-Protocol": "realtime",
                    "User-Agent": f"Offhook/{__version__}",
                    "X-Mine": "yes",
                },
            },
        )
    ]


async def test_openai_is_where_it_goes_by_default() -> None:
    asked: list[str] = []

    async def fetch(url: str, _: dict[str, Any]) -> Any:
        asked.append(url)
        raise OSError("no network")

    async with CloudflareRealtimeTransportLayer(api_key="any", fetch=fetch) as client:
        with pytest.raises(Exception, match="no network"):
            await client.connect(model="gpt-realtime")
    assert asked == ["https://api.openai.com/v1/realtime?model=gpt-realtime"]


def test_without_a_fetch_it_says_so() -> None:
    with pytest.raises(InvalidRequest, match="pass fetch="):
        CloudflareRealtimeTransportLayer(api_key="any")


def test_it_imports_nothing_that_pyodide_lacks() -> None:
    code = (
        "import sys, offhook; offhook.CloudflareRealtimeTransportLayer;"
        f"print([name for name in {ABSENT} if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(offhook.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "[]"
