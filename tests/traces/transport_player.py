"""Plays a script to our transport, and tells what it told."""

from __future__ import annotations

import asyncio
import base64
import copy
from typing import TYPE_CHECKING, Any

from offhook.errors import UpstreamError
from offhook.protocol import transport_events as told
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from tests.traces.spelling import as_javascript, snake
from tests.traces.stage import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.traces.lines import Told
    from tests.traces.stage import Event

# What the JavaScript SDK's `connect` calls otherwise.
OPTIONS = {"callId": "call_id", "initialSessionConfig": "initial_session_config"}


async def play(url: str, options: Event, names: Iterable[str]) -> list[Told]:
    """Connect, do what the cues say, and return what was told up to the end."""
    client = OpenAIRealtimeWebSocket(api_key="sk-any")
    heard: list[Told] = []
    gone = asyncio.Event()
    leaving: list[asyncio.Task[None]] = []

    def listen(name: str) -> Callable[..., None]:
        def note(*payload: Any) -> None:
            if name != "*" or payload[0]["type"] != "cue":
                heard.append([name, *map(as_javascript, payload)])

        return note

    def act(event: Event) -> None:
        if event["type"] != "cue":
            return
        try:
            if event["do"] == "close":
                leaving.append(asyncio.create_task(leave(client)))
            else:
                ACTIONS[event["do"]](client, *copy.deepcopy(event["args"]))
        except Exception:
            heard.append(["raised", event["do"]])

    for name in names:
        client.on(name, listen(name))
    client.on("*", act).on("disconnected", gone.set)
    given = {OPTIONS[name]: value for name, value in options.items()}
    try:
        await client.connect(url=url, **given)
    except UpstreamError:
        return [*heard, ["raised", "connect"]]
    async with asyncio.timeout(3 * PATIENCE):
        await gone.wait()
        await asyncio.gather(*leaving)
    await client.close()
    return heard


async def leave(client: OpenAIRealtimeWebSocket) -> None:
    await client.drain()
    await client.close()


def send_output(
    client: OpenAIRealtimeWebSocket, call: Event, output: str, respond: bool
) -> None:
    fields = {snake(name): value for name, value in call.items()}
    function_call = told.FunctionCall(response_id="r1", **fields)
    client.send_function_call_output(function_call, output, start_response=respond)


def ours(items: list[Event]) -> list[Event]:
    return [{snake(name): value for name, value in item.items()} for item in items]


ACTIONS: dict[str, Callable[..., None]] = {
    "message": lambda client, text, other=None: client.send_message(text, other),
    "image": lambda client, url: client.add_image(url, trigger_response=False),
    "audio": lambda client, audio, commit: client.send_audio(
        base64.b64decode(audio), commit=commit
    ),
    "output": send_output,
    "interrupt": lambda client: client.interrupt(),
    "event": lambda client, event: client.send_event(event),
    "request": lambda client, response=None: client.request_response(response),
    "update": lambda client, config: client.update_session_config(config),
    "history": lambda client, old, new: client.reset_history(ours(old), ours(new)),
    "mcp": lambda client, item_id, approved, reason=None: client.send_mcp_response(
        item_id, approved, reason
    ),
}
