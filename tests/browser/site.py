"""Somebody else's web site, with a policy of its own, that wants a voice agent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

MODULES = Path(__file__).with_name("node_modules")
_SDK = MODULES / "@openai/agents-realtime/dist/bundle/openai-realtime-agents.umd.js"
_SCENARIOS = Path(__file__).parents[1] / "clients/scenarios.mjs"

ELEMENT = """<!doctype html><html lang="en"><head><title>Shop</title>
<link rel="icon" href="data:,">
<script type="module" src="{voice}static/offhook-call-define.js"></script></head>
<body><h1>Shop</h1><offhook-call></offhook-call></body></html>"""

SDK = """<!doctype html><html lang="en"><head><title>SDK</title>
<link rel="icon" href="data:,">
<script src="/sdk.js"></script></head><body></body></html>"""

# What the SDK's own guide says, but for the two addresses.
CALL = """async (voice) => {
  const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebRTC } = OpenAIAgentsRealtime;
  const minted = await fetch(`${voice}/v1/realtime/client_secrets`, { method: "POST" });
  const { value } = await minted.json();
  const agent = new RealtimeAgent({ name: "Greeter", instructions: "Be brief." });
  const transport = new OpenAIRealtimeWebRTC({ baseUrl: `${voice}/v1/realtime/calls` });
  const session = new RealtimeSession(agent, { transport });
  window.session = session;
  window.problems = [];
  session.on("error", (error) => window.problems.push(JSON.stringify(error)));
  await session.connect({ apiKey: value });
  return transport.callId;
}"""


def site(html: str, policy: str | None = None) -> Starlette:
    """Make a site of one page; beside it the official SDK, and what to do with it."""

    async def page(_: Request) -> Response:
        headers = {"Content-Security-Policy": policy} if policy else {}
        return HTMLResponse(html, headers=headers)

    async def sdk(_: Request) -> Response:
        return FileResponse(_SDK)

    async def scenarios(_: Request) -> Response:
        return FileResponse(_SCENARIOS, media_type="text/javascript")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/sdk.js", sdk),
            Route("/scenarios.mjs", scenarios),
        ]
    )
