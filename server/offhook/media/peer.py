"""One answering peer connection: Opus both ways, and a data channel for events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError

from offhook.errors import OffhookError
from offhook.media import private
from offhook.media.hardening import close, harden
from offhook.media.intake import Intake
from offhook.media.network import Network
from offhook.media.presence import SILENCE_SECONDS, gone
from offhook.media.servers import IceServers
from offhook.media.tracks import PulledTrack, pcm_of
from offhook.protocol.candidates import admitted
from offhook.protocol.narrowing import narrowed
from offhook.protocol.sdp import invalid
from offhook.tasks import beside

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from offhook.media.filter import SourceFilter

_log = logging.getLogger(__name__)

# aioice itself never gives up on an offer without end-of-candidates.
CONNECT_SECONDS = 15.0
# How long the last events may take to reach the caller.
_DRAIN_SECONDS = 1.0
# To addresses that an offer names: 70 checks, 7 of each of 10.
_MAX_CHECK_BYTES = 70 * 88
# What waits for a caller who takes nothing; who is only slow has less.
_MAX_UNSENT_BYTES = 8 * 2**20


class Listener(Protocol):
    """What a peer reports; every method is called on the event loop."""

    def opened(self) -> None:
        """The data channel can carry events now."""

    def message(self, text: str | bytes) -> None:
        """The caller sent an event."""

    def audio(self, pcm: bytes) -> None:
        """The caller sent 24 kHz PCM."""


class Peer:
    """A peer connection that answers one offer.

    Use as `async with Peer(...) as peer`; leaving closes the connection.

    Args:
        listener: Hears what arrives.
        pull: The audio to send; see `PulledTrack`. None sends nothing.
        lines: How many audio lines there have to be. Of more than one, nothing is sent
            or decoded: what listens to them takes the packets.
        network: What the operator says about the network.
        servers: The STUN and TURN servers that answer.
        patience: How many seconds the caller has to connect.
        silence: How many seconds nothing may come from a caller who has connected,
            before that is logged; as many more, and the call is over.
        settled: Called once the caller has connected, or will not any more.
    """

    def __init__(
        self,
        listener: Listener,
        pull: Callable[[int], bytes] | None,
        *,
        lines: int = 1,
        network: Network | None = None,
        servers: IceServers | None = None,
        patience: float = CONNECT_SECONDS,
        silence: float = SILENCE_SECONDS,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        private.offer_loopback_when_alone()
        private.measure_levels_quickly()
        self._listener = listener
        self._lines = lines
        self._network = network or Network()
        self._servers = servers or IceServers(self._network)
        self._patience = patience
        self._silence = silence
        self._tell_settled: Callable[[], None] | None = settled
        # The servers are asked in gathering.py, which knows which of them answer.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._filters: list[SourceFilter] = []
        self._intake = Intake()
        self._track = PulledTrack(pull) if pull else None
        self._channel: RTCDataChannel | None = None
        self._reader: asyncio.Task[None] | None = None
        self._reached = asyncio.Event()
        self._connected = asyncio.Event()
        self._closed = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._connection.on("track", self._on_track)
        self._connection.on("datachannel", self._on_channel)
        self._connection.on("connectionstatechange", self._on_state)

    async def __aenter__(self) -> Peer:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def answer(self, offer: str) -> str:
        """Take the offer and return the answer, our candidates included.

        Args:
            offer: One that `check_offer` has passed.

        Raises:
            InvalidRequest: `invalid_offer`; the connection is closed then.
            ServerError: There is no port left; likewise.
        """
        try:
            return await self._answer(offer)
        except BaseException:
            await self.close()
            raise

    async def _answer(self, offer: str) -> str:
        try:
            await self._connection.setRemoteDescription(
                RTCSessionDescription(narrowed(offer, self._admitted(offer)), "offer")
            )
            self._direct()
            # Bytes: what an offer starts is less than itself, and not much.
            allowance = min(len(offer), _MAX_CHECK_BYTES)
            self._filters = harden(
                self._connection,
                self._network,
                self._servers,
                self._break,
                allowance,
                self._reached.set,
            )
            await self._connection.setLocalDescription(
                await self._connection.createAnswer()
            )
        except (OffhookError, OSError):
            raise
        except Exception as error:
            # aiortc checks what it parses with assertions and bare exceptions.
            _log.info("offer refused: %s", type(error).__name__)
            raise invalid("it does not fit WebRTC's rules") from None
        return self._connection.localDescription.sdp

    @property
    def connection(self) -> RTCPeerConnection:
        """The connection of aiortc's."""
        return self._connection

    @property
    def dropped(self) -> Counter[str]:
        """How many datagrams were kept from the connection, by reason."""
        return sum((filter.dropped for filter in self._filters), Counter())

    async def run(self) -> None:
        """Return when the call is over, or was never connected in time."""
        try:
            async with asyncio.timeout(self._patience):
                await self._connected.wait()
        except TimeoutError:
            _log.info("the caller did not connect within %.0f s", self._patience)
            return
        async with AsyncExitStack() as stack:
            beside(stack, self._watch())
            await self._closed.wait()

    async def reached(self) -> None:
        """Return when the caller has proved that the answer reached it."""
        await self._reached.wait()

    async def connected(self) -> None:
        """Return when the caller has connected, or the call is over."""
        await self._connected.wait()

    def send(self, text: str) -> None:
        """Send one event; without an open channel it is dropped."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        try:
            channel.send(text)
        except (ValueError, InvalidStateError, ConnectionError) as error:
            # Larger than the other side takes, or it is just closing.
            _log.warning("event of %d bytes not sent: %s", len(text), error)
        if channel.bufferedAmount > _MAX_UNSENT_BYTES:
            self._cut("takes no events")

    def mute(self) -> None:
        """Send no audio any more."""
        if self._track:
            self._track.mute()

    def close_channel(self) -> None:
        """Close the data channel, and keep the call."""
        if self._channel:
            self._channel.remove_listener("close", self._closed.set)
            self._channel.close()

    async def drain(self) -> None:
        """Close the data channel once the caller has what was sent, if it is quick."""
        if self._channel and self._channel.readyState == "open":
            self._channel.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await self._closed.wait()

    async def vanish(self) -> None:
        """Close a connection that was made, without a goodbye: nothing is sent."""
        for transport in private.transports(self._connection):
            await transport.transport.stop()
        await self.close()

    async def close(self) -> None:
        """Close the connection; safe to call twice, and to cancel."""
        self._end()
        # aiortc cannot go on with a close that was cancelled, and whoever closes
        # again waits for the first one: so the closing itself is never cancelled.
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _watch(self) -> None:
        await gone(self._connection, self._silence)
        self._end()

    async def _close(self) -> None:
        await close(self._connection, self._filters)
        if self._reader:
            # A call that never connected has a track that never ends.
            self._reader.cancel()
            await asyncio.wait([self._reader])

    def _admitted(self, offer: str) -> list[str]:
        """Choose the caller's addresses to try.

        By default none: its own checks reach us and prove who it is (peer-reflexive
        discovery), and nobody can aim us at a third party.
        """
        if self._network.candidates == "none":
            return []
        lan = self._network.candidates == "lan"
        return admitted(offer, lan=lan, own=private.own_networks())

    def _direct(self) -> None:
        """Talk on the first audio line, or listen to several, and leave all others.

        aiortc decodes every line that it receives, camera and all, into a queue that
        nobody empties.
        """
        transceivers = self._connection.getTransceivers()
        voices = [t for t in transceivers if t.kind == "audio"][: self._lines]
        if len(voices) < self._lines:
            raise invalid(f"it has fewer than {self._lines} audio lines")
        for transceiver in transceivers:
            transceiver.direction = "inactive"
        for voice in voices:
            voice.direction = "recvonly"
        if self._lines == 1:
            voices[0].sender.replaceTrack(self._track)
            voices[0].direction = "sendrecv"

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind != "audio" or self._reader or self._lines > 1:
            return
        for transceiver in self._connection.getTransceivers():
            if transceiver.receiver.track is track:
                private.listen_eagerly(transceiver.receiver)
        self._reader = asyncio.create_task(self._read(track))

    async def _read(self, track: MediaStreamTrack) -> None:
        try:
            async for pcm in pcm_of(track):
                self._listener.audio(pcm)
        except Exception:
            _log.exception("the caller's audio could not be taken: the call ends")
            self._end()

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if reason := self._intake.channel():
            self._cut(reason)
        # Any label will do, the first channel wins: Azure's guide names it otherwise.
        if self._channel:
            return
        self._channel = channel
        channel.on("message", self._on_message)
        channel.on("close", self._closed.set)
        self._listener.opened()

    def _on_message(self, text: str | bytes) -> None:
        if reason := self._intake.event(len(text)):
            self._cut(reason)
        elif not self._closed.is_set():
            self._listener.message(text)

    def _cut(self, reason: str) -> None:
        if not self._closed.is_set():
            _log.warning("the caller %s: the call ends", reason)
        self._end()

    def _break(self, error: Exception) -> None:
        """End a call that its caller, or we, have broken; the others go on."""
        if not self._closed.is_set():
            _log.warning("the call broke: %s", type(error).__name__, exc_info=error)
        self._end()

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self._reached.set()
            self._settle()
        elif state in ("failed", "closed"):
            self._end()

    def _settle(self) -> None:
        self._connected.set()
        if self._tell_settled:
            tell, self._tell_settled = self._tell_settled, None
            tell()

    def _end(self) -> None:
        self._settle()
        self._closed.set()
