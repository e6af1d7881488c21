"""`@openai/agents-realtime`: voice agents in JavaScript, over a WebSocket in Node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.places import AGENT, LOCAL, RELAY, Place
from tests.clients.results import JUDGES, judge
from tests.javascript import node, run
from tests.mcp_server import Tools, mcp_server

if TYPE_CHECKING:
    from offhook.speech import Engines

pytestmark = pytest.mark.anyio

SCRIPT = Path(__file__).with_name("node.mjs")


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
    place: Place, script: dict[str, Any], engines: Engines, scenario: str
) -> None:
    url = f"{place.ws_url}?model=gpt-realtime-2.1"
    given = {"scenario": scenario, "url": url, "apiKey": await place.key(), **script}
    async with mcp_server(Tools()) as server_url:
        if scenario == "hosted":
            given["serverUrl"] = server_url
        result = await run(node(), str(SCRIPT), given=json.dumps(given))
    await judge(scenario, json.loads(result), engines)
