"""`@openai/agents-realtime`: voice agents in JavaScript, over a WebSocket in Node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.results import JUDGES, judge
from tests.javascript import run_script

if TYPE_CHECKING:
    from offhook.speech import Engines

pytestmark = pytest.mark.anyio

SCRIPT = Path(__file__).with_name("node.mjs")


@pytest.mark.parametrize("scenario", [name for name in JUDGES if name != "called"])
async def test_in_node(
    local_url: str, script: dict[str, Any], engines: Engines, scenario: str
) -> None:
    url = f"{local_url.replace('http', 'ws')}/realtime?model=gpt-realtime-2.1"
    given = {"scenario": scenario, "url": url, "apiKey": "sk-any", **script}
    await judge(scenario, await run_script(SCRIPT, given=given), engines)
