"""Janus and its echo test, by its HTTP interface."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from pathlib import Path

_numbers = itertools.count()

_CONFIGURATION = """\
general: {{ configs_folder = "{folder}" session_timeout = 0 debug_level = 3 }}
nat: {{ }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
"""
_HTTP = """\
general: {{ base_path = "/janus" http = true port = {port} https = false }}
admin: {{ admin_http = false }}
"""
_PLUGINS = ",".join(
    f"libjanus_{name}.so"
    for name in (
        "audiobridge lua duktape nosip recordplay sip streaming textroom videocall "
        "videoroom voicemail"
    ).split()
)
_TRANSPORTS = ",".join(
    f"libjanus_{name}.so"
    for name in ("mqtt", "nanomsg", "pfunix", "rabbitmq", "websockets")
)


def configure(folder: Path, port: int) -> None:
    """Write what it needs to echo, and nothing else."""
    settings = _CONFIGURATION.format(
        folder=folder, plugins=_PLUGINS, transports=_TRANSPORTS
    )
    (folder / "janus.jcfg").write_text(settings)
    (folder / "janus.transport.http.jcfg").write_text(_HTTP.format(port=port))


async def listening(port: int) -> None:
    """Return when it takes requests.

    Raises:
        TimeoutError: It does not.
    """
    transport = httpx.AsyncHTTPTransport(retries=10)  # with growing pauses
    async with httpx.AsyncClient(transport=transport) as client:
        try:
            await client.get(f"http://127.0.0.1:{port}/janus/info")
        except httpx.ConnectError:
            raise TimeoutError("it does not listen") from None


async def call(url: str, offer: str) -> str:
    """Give the echo test an offer, and return its answer."""
    async with httpx.AsyncClient(timeout=30) as client:

        async def tell(path: str, **fields: Any) -> Any:
            body = {"transaction": f"t{next(_numbers)}", **fields}
            return (await client.post(f"{url}{path}", json=body)).json()

        session = (await tell("", janus="create"))["data"]["id"]
        plugin = "janus.plugin.echotest"
        attached = await tell(f"/{session}", janus="attach", plugin=plugin)
        await tell(
            f"/{session}/{attached['data']['id']}",
            janus="message",
            body={"audio": True, "video": False},
            jsep={"type": "offer", "sdp": offer},
        )
        while True:
            event = (await client.get(f"{url}/{session}?maxev=1")).json()
            if "jsep" in event:
                return str(event["jsep"]["sdp"])
