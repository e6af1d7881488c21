"""Plays a script to our session of agents, and tells what it told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from offhook.agent import RealtimeSession
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from tests.traces.agents import agent, options
from tests.traces.spelling import as_javascript, brief
from tests.traces.stage import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.traces.lines import Told
    from tests.traces.stage import Event


async def play_agents(url: str, name: str, names: Iterable[str]) -> list[Told]:
    """Connect, do what the cues say, and return what was told; then the history."""
    player = SessionPlayer(name, names)
    await player.play(url)
    usage = ["usage", player.session.usage.total_tokens]
    history = (["history", as_javascript(item)] for item in player.session.history)
    return [*player.heard, usage, *history]


class SessionPlayer:
    """A session, and what it told."""

    def __init__(self, name: str, names: Iterable[str]) -> None:
        self.heard: list[Told] = []
        self._transport = OpenAIRealtimeWebSocket(api_key="sk-any")
        self.session = RealtimeSession(
            agent(name), transport=self._transport, **options(name)
        )
        self._gone = asyncio.Event()
        self._asked: asyncio.Queue[Any] = asyncio.Queue()
        self._acting: list[asyncio.Task[None]] = []
        for event in names:
            self.session.on(event, self._listen(event))
        self.session.on(
            "tool_approval_requested",
            lambda _context, _agent, request: self._asked.put_nowait(request),
        )
        self._transport.on("*", self._cue).on("disconnected", self._gone.set)

    async def play(self, url: str) -> None:
        """Be there until the connection is gone."""
        await self.session.connect(url=url)
        async with asyncio.timeout(3 * PATIENCE):
            await self._gone.wait()
            await asyncio.gather(*self._acting)
        await self.session.close()

    def _listen(self, name: str) -> Callable[..., None]:
        return lambda *payload: self.heard.append([name, *brief(payload)])

    def _cue(self, event: Event) -> None:
        if event["type"] == "cue":
            acting = self._act(event["do"], *event["args"])
            self._acting.append(asyncio.create_task(acting))

    async def _act(self, what: str, *args: Any) -> None:
        session = self.session
        match what:
            case "message":
                session.send_message(*args)
            case "interrupt":
                session.interrupt()
            case "event":
                self._transport.send_event(*args)
            case "approve":
                await session.approve(await self._asked.get())
            case "reject":
                await session.reject(await self._asked.get(), message=args[0])
            case "agent":
                await session.update_agent(agent(*args))
            case "close":
                await self._transport.drain()
                await session.close()
