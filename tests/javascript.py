"""Runs JavaScript in Node or as a Cloudflare Worker, and asks OpenAI's SDK for it what
it makes of events.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

MODULES = Path(__file__).parent / "browser/node_modules"
_PARSE = Path(__file__).parent / "clients/parse.mjs"

# What the SDK does not know at all, and hands on as it is.
UNKNOWN_IN_JAVASCRIPT = {
    "conversation.item.created",
    "conversation.item.input_audio_transcription.segment",
    "input_audio_buffer.dtmf_event_received",
    "input_audio_buffer.timeout_triggered",
    "response.mcp_call.failed",
}


def node() -> str:
    """Find Node; the environment's own first, which came with the development tools."""
    bin_folder = str(Path(sys.executable).parent)
    found = shutil.which("node", path=bin_folder) or shutil.which("node")
    assert found, "There is no node: run `make install`."
    return found


def misread(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those that the JavaScript SDK cannot read; they are lost on its users."""
    lines = "".join(json.dumps(event) + "\n" for event in events)
    command = [node(), str(_PARSE)]
    run = subprocess.run(
        command, input=lines, capture_output=True, encoding="utf-8", timeout=50
    )
    assert run.returncode == 0, run.stderr
    found = [json.loads(line) for line in run.stdout.splitlines()]
    return [event for event in found if not _is_beyond_javascript(event)]


def _is_beyond_javascript(event: dict[str, Any]) -> bool:
    # An item with a picture is none that the SDK has a model of, whatever it is like.
    content = event.get("item", {}).get("content") or []
    pictures = any(part["type"] == "input_image" for part in content)
    return pictures or event["type"] in UNKNOWN_IN_JAVASCRIPT


async def run(*command: str, given: str = "", **environment: str) -> str:
    """Run a program to its end, and return what it says.

    Args:
        command: The program and its arguments.
        given: What it reads.
        environment: What it finds beside our own environment.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        out, err = await process.communicate(given.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return out.decode()


@asynccontextmanager
async def workerd(config: Path, *options: str) -> AsyncIterator[str]:
    """Run Cloudflare's runtime, and give the address of its one socket."""
    program = str(MODULES / ".bin/workerd")
    async with serving(
        program, "serve", str(config), "--control-fd=1", *options
    ) as address:
        yield address


@asynccontextmanager
async def serving(*command: str) -> AsyncIterator[str]:
    """Run a program that serves HTTP and first says its port, and give its address.

    It is told to end by a signal and by the end of its input: the node that comes in a
    wheel is run by another program, where signals end.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    try:
        port = json.loads(await process.stdout.readline())["port"]
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stdin.close()
        process.terminate()
        await process.wait()
