"""Bridged calls: a peer of ours answers the caller, a transport leads to the model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from offhook.errors import OffhookError, WireClosed
from offhook.events import new_id, serialise
from offhook.http.race import first
from offhook.protocol.bridge import Bridge, Interrupt, ToCaller
from offhook.protocol.narration import Narration
from offhook.protocol.playback import PlaybackLedger
from offhook.transports.openai import OpenAITransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from offhook.agent import RealtimeAgent
    from offhook.events import Event
    from offhook.media.factory import PeerFactory
    from offhook.protocol.policy import Policy
    from offhook.transports.base import RealtimeTransportLayer
    from offhook.upstream.base import Upstream
    from offhook.wire.base import Wire

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Leg:
    """The model's side of a call.

    Attributes:
        transport: What leads to the model.
        connect: Connects it.
        close: Hangs up; once or more, connected or not.
    """

    transport: RealtimeTransportLayer
    connect: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


def leg_to(upstream: Upstream, session: Mapping[str, Any]) -> Leg:
    """Make a leg to the upstream, over WebSocket."""

    @asynccontextmanager
    async def opened(_: str, __: str) -> AsyncIterator[Wire]:
        async with upstream.connect(session) as opened:
            yield _Begun(opened.wire, opened.session)

    transport = OpenAITransport(
        opened,
        api_key="of the upstream",
        ledger=PlaybackLedger(reported=True),
        defaults=False,
    )
    return Leg(transport, transport.connect, transport.close)


def leg_over(transport: RealtimeTransportLayer, session: Mapping[str, Any]) -> Leg:
    """Make a leg over a transport of the user's own."""
    connect = partial(transport.connect, initial_session_config=session)
    return Leg(transport, connect, transport.close)


def with_brain(leg: Leg, brain: RealtimeAgent[Any]) -> Leg:
    """Let an agent answer over a leg: its tools and guardrails run here."""
    # Loaded only when needed: it brings openai-agents with it.
    from offhook.agent import RealtimeSession

    session = RealtimeSession(brain, transport=leg.transport)
    return Leg(leg.transport, session.connect, session.close)


class BridgedCall:
    """One call: a peer in front of a transport.

    Args:
        leg: The model's side.
        policy: Judges the events of both sides.
        session: What the session is.
        peers: Makes the caller's peer.

    Raises:
        ServerError: Too many callers are about to connect.
    """

    def __init__(
        self,
        leg: Leg,
        policy: Policy,
        session: Mapping[str, Any],
        peers: PeerFactory,
    ) -> None:
        self.call_id = new_id("rtc")
        self._leg = leg
        self._realtime = isinstance(leg.transport, OpenAITransport)
        self._bridge = Bridge(policy, narrated=None if self._realtime else session)
        self._peer = peers.make(self, self._pull)
        self._ended = asyncio.Event()
        self._listen()

    async def answer(self, offer: str) -> str:
        """Return the SDP answer.

        Raises:
            InvalidRequest: `invalid_offer`; the call is closed then.
        """
        try:
            return await self._peer.answer(offer)
        except BaseException:
            await self._peer.close()
            raise

    async def run(self) -> None:
        """Hold both sides until either leaves."""
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._leg.close)
            await stack.enter_async_context(self._peer)
            # At the same time: the model may be there before the caller is.
            await first(caller=self._peer.run(), model=self._hold_model())
        _log.info("call %s ended after %.0f s", self.call_id, time.monotonic() - began)

    async def hang_up(self) -> None:
        """End the call; `run` returns."""
        await self._peer.close()

    def opened(self) -> None:
        """The caller's channel can carry events now."""
        self._bridge.opened()
        self._act()

    def message(self, text: str | bytes) -> None:
        """Take an event of the caller's."""
        self._bridge.hear(text)
        self._act()

    def audio(self, pcm: bytes) -> None:
        """Take the caller's voice."""
        self._leg.transport.send_audio(pcm)

    async def _hold_model(self) -> None:
        """Return when the model has left, and the caller knows it."""
        try:
            await self._leg.connect()
        except OffhookError as error:
            _log.warning("call %s has no model: %s", self.call_id, error)
            # What is wrong with the upstream is the operator's business.
            self._bridge.fail("The model cannot be reached: try again later.")
            self._act()
            await self._peer.connected()
        else:
            self._bridge.connected()
            self._act()
            await self._ended.wait()
        await self._peer.drain()

    def _listen(self) -> None:
        transport, bridge = self._leg.transport, self._bridge
        for name, take in (
            ("audio", bridge.audio),
            ("turn_done", lambda turn: bridge.finished(turn.response_id)),
            ("audio_interrupted", lambda _: bridge.interrupted()),
        ):
            transport.on(name, self._then_act(take))
        if self._realtime:
            transport.on("*", self._then_act(bridge.take))
        else:
            for name, narrate in Narration().listeners.items():
                transport.on(name, self._then_act(bridge.narrating(narrate)))
        transport.on("disconnected", self._ended.set)

    def _then_act(self, take: Callable[[Any], object]) -> Callable[[Any], None]:
        def took(told: Any) -> None:
            take(told)
            self._act()

        return took

    def _pull(self, ms: int) -> bytes:
        pcm, position = self._bridge.pull(ms)
        if position and isinstance(self._leg.transport, OpenAITransport):
            self._leg.transport.played(*position)
        self._act()
        return pcm

    def _act(self) -> None:
        try:
            for action in self._bridge.drain():
                if isinstance(action, ToCaller):
                    self._peer.send(action.text)
                elif isinstance(action, Interrupt):
                    self._leg.transport.interrupt()
                elif self._realtime:
                    self._leg.transport.send_event(action.event)
                else:
                    _ask(self._leg.transport, action.event)
        except OffhookError as error:
            _log.warning("call %s is given up: %s", self.call_id, error)
            self._ended.set()


def _ask(transport: RealtimeTransportLayer, event: Event) -> None:
    """Ask a model that speaks no Realtime API for what an event asks for."""
    match event["type"]:
        case "conversation.item.create":
            content = event.get("item", {}).get("content") or []
            transport.send_message(content, trigger_response=False)
        case "response.create":
            transport.request_response(event.get("response"))
        case "response.cancel":
            transport.interrupt()
        case _:
            transport.send_event(event)


class _Begun:
    """A wire to a session that is set up, which begins with what the session is."""

    def __init__(self, wire: Wire, session: Mapping[str, Any]) -> None:
        self._wire = wire
        created = {"type": "session.created", "event_id": new_id("event")}
        self._first: str | None = serialise({**created, "session": dict(session)})

    @property
    def closed(self) -> WireClosed | None:
        return self._wire.closed

    async def send(self, text: str) -> None:
        await self._wire.send(text)

    async def receive(self) -> str:
        text, self._first = self._first, None
        return await self._wire.receive() if text is None else text

    async def __aiter__(self) -> AsyncIterator[str]:
        with contextlib.suppress(WireClosed):
            while True:
                yield await self.receive()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._wire.close(code, reason)
