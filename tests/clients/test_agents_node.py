"""`@openai/agents-realtime`: voice agents in JavaScript, over a WebSocket in Node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.clients.places import AGENT, LOCAL, RELAY, Place
from tests.clients.results import JUDGES, judge
from tests.javascript import node, serving
from tests.mcp_server import Tools, mcp_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offhook.speech import Engines

pytestmark = pytest.mark.anyio

SCRIPT = Path(__file__).with_name("node.mjs")


@pytest.fixture(scope="module")
async def program() -> AsyncIterator[str]:
    """A program that plays scenarios, and its address."""
    async with serving(node(), str(SCRIPT)) as url:
        yield url


# The others are for where the caller's voice is not in events.
SCENARIOS = [name for name in JUDGES if name not in ("called", "hushed")]


@pytest.mark.parametrize(
    ("place", "scenario"),
    [
        *((LOCAL, scenario) for scenario in SCENARIOS),
        *((RELAY, scenario) for scenario in ("spoken", "tool", "interrupted")),
        *((AGENT, scenario) for scenario in ("written", "pushed", "interrupted")),
    ],
    indirect=["place"],
)
async def test_in_node(
    place: Place,
    program: str,
    script: dict[str, Any],
    engines: Engines,
    scenario: str,
) -> None:
    url = f"{place.ws_url}?model=gpt-realtime-2.1"
    given = {"scenario": scenario, "url": url, "apiKey": await place.key(), **script}
    async with mcp_server(Tools()) as server_url:
        if scenario == "hosted":
            given["serverUrl"] = server_url
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            response = await client.post(program, json=given)
    assert response.status_code == 200, response.text
    await judge(scenario, response.json(), engines)
