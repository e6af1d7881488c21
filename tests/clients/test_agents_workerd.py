"""`@openai/agents-extensions`: a caller in Cloudflare's own runtime."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.clients.places import AGENT, LOCAL, RELAY, Place
from tests.clients.results import judge
from tests.javascript import MODULES, run, workerd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offhook.speech import Engines

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent

# What Cloudflare's own bundler is told, which does the same with the same program: a
# package's edition for workers first, and what Node has is there by that name.
BUNDLE = (
    "--bundle",
    "--format=esm",
    "--platform=node",
    "--main-fields=browser,module,main",
    "--conditions=workerd,worker,browser",
    '--banner:js=import { createRequire } from "node:module"; '
    'const require = createRequire("/");',
    "--log-level=error",
)


@pytest.fixture(scope="module")
async def worker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A worker that plays scenarios, and its address."""
    folder = tmp_path_factory.mktemp("worker")
    shutil.copy(HERE / "workerd.capnp", folder)
    programs = MODULES / ".bin"
    source, bundle = HERE / "worker.mjs", folder / "worker.js"
    await run(
        str(programs / "esbuild"),
        str(source),
        *BUNDLE,
        f"--outfile={bundle}",
        NODE_PATH=str(MODULES),
    )
    async with workerd(folder / "workerd.capnp") as url:
        yield url


SCENARIOS = ("written", "spoken", "tool", "pushed", "interrupted", "stopped")


@pytest.mark.parametrize(
    ("place", "scenario"),
    [
        *((LOCAL, scenario) for scenario in SCENARIOS),
        *((RELAY, scenario) for scenario in ("tool", "interrupted")),
        *((AGENT, scenario) for scenario in ("written", "spoken")),
    ],
    indirect=["place"],
)
async def test_in_a_worker(
    place: Place,
    worker: str,
    script: dict[str, Any],
    engines: Engines,
    scenario: str,
) -> None:
    url = f"{place.ws_url}?model=gpt-realtime-2.1"
    given = {"scenario": scenario, "url": url, "apiKey": await place.key(), **script}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        response = await client.post(worker, json=given)
    assert response.status_code == 200, response.text
    await judge(scenario, response.json(), engines)
