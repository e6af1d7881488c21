"""Plays a script to our transport, and tells what it told."""

from __future__ import annotations

import asyncio
import base64
import copy
import dataclasses
import re
from typing import TYPE_CHECKING, Any

from agents import FunctionTool, RunContextWrapper
from agents.realtime import RealtimeAgent as SdkAgent

from offhook.agent import RealtimeSession, ToolApprovalRequest
from offhook.errors import UpstreamError
from offhook.protocol import transport_events as told
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from tests.traces.agents import agent, options
from tests.traces.stage import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from tests.traces.stage import Event

    # The name of an event, and what came with it, spelled as in JavaScript.
    Told = list[Any]

# What the JavaScript SDK's `connect` calls otherwise.
OPTIONS = {
    "callId": "call_id",
    "model": "model",
    "initialSessionConfig": "initial_session_config",
}


async def play(url: str, how: Event, names: Iterable[str]) -> list[Told]:
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

    def cue(event: Event) -> None:
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
    client.on("*", cue).on("disconnected", gone.set)
    given = {OPTIONS[name]: value for name, value in how.items()}
    try:
        await client.connect(url=url, **given)
    except UpstreamError:
        return [*heard, ["raised", "connect"]]
    async with asyncio.timeout(3 * PATIENCE):
        await gone.wait()
        await asyncio.gather(*leaving)
    await client.close()
    return heard


async def play_agents(url: str, name: str, names: Iterable[str]) -> list[Told]:
    """Do the same with a session of agents; its history comes last."""
    transport = OpenAIRealtimeWebSocket(api_key="sk-any")
    session = RealtimeSession(agent(name), transport=transport, **options(name))
    heard: list[Told] = []
    gone = asyncio.Event()
    asked: asyncio.Queue[Any] = asyncio.Queue()

    def listen(name: str) -> Callable[..., None]:
        return lambda *payload: heard.append([name, *brief(payload)])

    async def act(what: str, *args: Any) -> None:
        try:
            match what:
                case "message":
                    session.send_message(*args)
                case "interrupt":
                    session.interrupt()
                case "event":
                    transport.send_event(*args)
                case "approve":
                    await session.approve(await asked.get())
                case "reject":
                    await session.reject(await asked.get(), message=args[0])
                case "agent":
                    await session.update_agent(agent(*args))
                case "close":
                    await transport.drain()
                    await session.close()
        except Exception:
            heard.append(["raised", what])

    def cue(event: Event) -> None:
        if event["type"] == "cue":
            acting.append(asyncio.create_task(act(event["do"], *event["args"])))

    acting: list[asyncio.Task[None]] = []
    for event in names:
        session.on(event, listen(event))
    session.on("tool_approval_requested", lambda *told: asked.put_nowait(told[2]))
    transport.on("*", cue).on("disconnected", gone.set)
    await session.connect(url=url)
    async with asyncio.timeout(3 * PATIENCE):
        await gone.wait()
        await asyncio.gather(*acting)
    heard.append(["usage", session.usage.total_tokens])
    heard += [["history", as_javascript(told.ItemUpdate(i))] for i in session.history]
    await session.close()
    return heard


def brief(payload: Iterable[Any]) -> list[Any]:
    """Leave contexts out, and call agents and tools by their names."""
    named = (SdkAgent, FunctionTool)
    return [
        each.name if isinstance(each, named) else as_javascript(each)
        for each in payload
        if not isinstance(each, RunContextWrapper)
    ]


async def leave(client: OpenAIRealtimeWebSocket) -> None:
    await client.drain()
    await client.close()


def send_output(
    client: OpenAIRealtimeWebSocket, call: Event, output: str, respond: bool
) -> None:
    fields = {snake(name): value for name, value in call.items()}
    function_call = told.FunctionCall(response_id="r1", **fields)
    client.send_function_call_output(function_call, output, start_response=respond)


ACTIONS: dict[str, Callable[..., Awaitable[None] | None]] = {
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


def ours(items: list[Event]) -> list[Event]:
    return [{snake(name): value for name, value in item.items()} for item in items]


def snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name)


def as_javascript(payload: Any) -> Any:
    """Spell what is told as the JavaScript SDK does."""
    match payload:
        case told.TransportError(error):
            message = str(error) if isinstance(error, Exception) else error["message"]
            return {"error": {"error": {"message": message}}}
        case told.TurnStarted(response_id):
            return {"providerData": {"response": {"id": response_id}}}
        case told.TurnDone(response_id, _, output, usage):
            shown = {"id": response_id, "output": [*output]}
            return {"response": {**shown, "usage": as_javascript(usage)}}
        case told.Audio(data):
            encoded = base64.b64encode(data).decode()
            return {"data": encoded, "responseId": payload.response_id}
        case told.Usage():
            return {**spelled(payload), "totalTokens": payload.total_tokens}
        case told.ItemUpdate(item) | told.McpToolCallCompleted(item):
            return as_javascript(item)
        case {"item_id": _}:
            return {camel(name): value for name, value in payload.items()}
        case Exception():
            return {"message": str(payload)}
        case ToolApprovalRequest():
            return {"name": payload.name}
        case _ if dataclasses.is_dataclass(payload):
            return spelled(payload)
    return copy.deepcopy(payload)


def spelled(event: Any) -> Event:
    fields = dataclasses.asdict(event)
    return {camel(name): value for name, value in fields.items()}
