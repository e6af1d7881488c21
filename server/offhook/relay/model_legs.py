"""The model's side of a bridged call: a transport, and how it is connected."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from offhook.errors import NotFound, OffhookError, WireClosed
from offhook.events import new_id, serialise
from offhook.protocol.playback import PlaybackLedger
from offhook.transports.openai import OpenAITransport
from offhook.transports.signalling import Answer
from offhook.transports.webrtc import OpenAIRealtimeWebRTC

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from aiortc import RTCPeerConnection

    from offhook.agent import RealtimeAgent
    from offhook.transports.base import RealtimeTransportLayer
    from offhook.upstream.base import Upstream
    from offhook.wire.base import Wire

_log = logging.getLogger(__name__)

# How long an upstream may take to hang up.
_FAREWELL_SECONDS = 2.0
# The server's own key goes with the upstream's requests; the transport needs some.
_KEY = "of the upstream"


@dataclass(frozen=True)
class ModelLeg:
    """What leads to the model.

    Attributes:
        transport: What carries its events.
        connect: Connects it.
        close: Hangs up; once or more, connected or not.
    """

    transport: RealtimeTransportLayer
    connect: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]

    @property
    def speaks_realtime(self) -> bool:
        """Whether its events are those of the Realtime API."""
        return isinstance(self.transport, OpenAITransport)


def webrtc_leg(upstream: Upstream, session: Mapping[str, Any]) -> ModelLeg:
    """Make a leg over WebRTC: its audio can pass as it comes."""

    async def signalling(offer: str) -> Answer:
        answer = await upstream.answer(offer.encode(), session)
        return Answer(answer.sdp.decode(errors="replace"), answer.call_id)

    transport = OpenAIRealtimeWebRTC(
        api_key=_KEY,
        media_track=None,
        audio_sink=None,
        change_peer_connection=_say_nothing,
        defaults=False,
        signalling=signalling,
    )

    async def close() -> None:
        call_id = transport.call_id
        await transport.close()
        if call_id:
            # It notices by itself that the media stopped, but not at once. Nobody
            # waits for long: neither the caller's place nor the end of the server.
            try:
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await upstream.hang_up(call_id)
            except NotFound:
                pass  # it has noticed
            except (OffhookError, TimeoutError) as error:
                why = str(error) or "no answer in time"
                _log.warning("the model's side %s was not hung up: %s", call_id, why)

    return ModelLeg(transport, transport.connect, close)


def _say_nothing(connection: RTCPeerConnection) -> None:
    """Leave it to the caller's packets to be the first (RFC 3711 §3.3.2)."""
    for sender in connection.getSenders():
        sender.replaceTrack(None)


def socket_leg(upstream: Upstream, session: Mapping[str, Any]) -> ModelLeg:
    """Make a leg over WebSocket."""

    @asynccontextmanager
    async def opened(_: str, __: str) -> AsyncIterator[Wire]:
        async with upstream.connect(session) as opened:
            yield _Begun(opened.wire, opened.session)

    ledger = PlaybackLedger(reported=True)
    transport = OpenAITransport(opened, api_key=_KEY, ledger=ledger, defaults=False)
    return ModelLeg(transport, transport.connect, transport.close)


def own_leg(transport: RealtimeTransportLayer, session: Mapping[str, Any]) -> ModelLeg:
    """Make a leg over a transport of the user's own."""
    connect = partial(transport.connect, initial_session_config=session)
    return ModelLeg(transport, connect, transport.close)


def with_brain(leg: ModelLeg, brain: RealtimeAgent[Any]) -> ModelLeg:
    """Let an agent answer over a leg: its tools and guardrails run here."""
    # Loaded only when needed: it brings openai-agents with it.
    from offhook.agent import RealtimeSession

    session = RealtimeSession(brain, transport=leg.transport)

    async def close() -> None:
        await session.close()
        await leg.close()

    return replace(leg, connect=session.connect, close=close)


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
