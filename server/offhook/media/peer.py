"""One answering peer connection: Opus both ways, and a data channel for events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
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

from offhook.errors import InvalidRequest
from offhook.media.descriptions import check_bundle
from offhook.media.presence import SILENCE_SECONDS, gone
from offhook.media.private import (
    listen_eagerly,
    measure_levels_quickly,
    offer_loopback_when_alone,
    stop_asking,
)
from offhook.media.tracks import PulledTrack, pcm_of
from offhook.protocol import sdp
from offhook.tasks import beside

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_log = logging.getLogger(__name__)

# aioice itself never gives up on an offer without end-of-candidates.
_CONNECT_SECONDS = 15.0
# How long the last events may take to reach the caller.
_DRAIN_SECONDS = 1.0


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

    Use as `async with Peer(...) as peer`; leaving closes the connection. `closed`
    completes when the other side is gone.

    Args:
        listener: Hears what arrives.
        pull: The audio to send; see `PulledTrack`.
        patience: How many seconds the caller has to connect.
        silence: How many seconds nothing may come from a caller who has connected,
            before that is logged; as many more, and the call is over.
    """

    def __init__(
        self,
        listener: Listener,
        pull: Callable[[int], bytes],
        *,
        patience: float = _CONNECT_SECONDS,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        offer_loopback_when_alone()
        measure_levels_quickly()
        self._listener = listener
        self._patience = patience
        self._silence = silence
        # No STUN server by default: a dead one costs five seconds per call.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._track = PulledTrack(pull)
        self._channel: RTCDataChannel | None = None
        self._reader: asyncio.Task[None] | None = None
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

        Raises:
            InvalidRequest: `invalid_offer`.
        """
        # Not one candidate of the caller's is used: its checks reach us and prove
        # who it is (peer-reflexive discovery), and nobody can aim us at a third party.
        usable = sdp.without_candidates(offer)
        try:
            check_bundle(usable)
            await self._connection.setRemoteDescription(
                RTCSessionDescription(usable, "offer")
            )
            self._direct()
            await self._connection.setLocalDescription(
                await self._connection.createAnswer()
            )
        except OSError:
            raise  # ours: there is no socket left
        except Exception as error:
            # aiortc checks what it parses with assertions and bare exceptions.
            _log.info("offer refused: %s", type(error).__name__)
            raise InvalidRequest(
                "Invalid SDP offer. Please try again with a WHIP-compliant offer.",
                code="invalid_offer",
            ) from None
        return self._connection.localDescription.sdp

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

    def mute(self) -> None:
        """Send no audio any more."""
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
        sctp = self._connection.sctp
        transports = [t.receiver.transport for t in self._connection.getTransceivers()]
        for transport in (*transports, *([sctp.transport] if sctp else ())):
            await transport.transport.stop()
        await self.close()

    async def close(self) -> None:
        """Close the connection; safe to call twice, and to cancel."""
        self._closed.set()
        self._connected.set()
        # aiortc cannot go on with a close that was cancelled, and whoever closes
        # again waits for the first one: so the closing itself is never cancelled.
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _watch(self) -> None:
        await gone(self._connection, self._silence)
        self._closed.set()

    async def _close(self) -> None:
        await self._connection.close()
        await stop_asking(self._connection)
        if self._reader:
            # A call that never connected has a track that never ends.
            self._reader.cancel()
            await asyncio.wait([self._reader])

    def _direct(self) -> None:
        """Talk on the first audio line, and take nothing on any other.

        aiortc decodes every line that it receives, camera and all, into a queue that
        nobody empties.
        """
        voice = None
        for transceiver in self._connection.getTransceivers():
            if transceiver.kind == "audio" and voice is None:
                voice = transceiver
                voice.sender.replaceTrack(self._track)
                voice.direction = "sendrecv"
            else:
                transceiver.direction = "inactive"

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind != "audio" or self._reader:
            return
        for transceiver in self._connection.getTransceivers():
            if transceiver.receiver.track is track:
                listen_eagerly(transceiver.receiver)
        self._reader = asyncio.create_task(self._read(track))

    async def _read(self, track: MediaStreamTrack) -> None:
        async for pcm in pcm_of(track):
            self._listener.audio(pcm)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        # Any label will do, the first channel wins: Azure's guide names it otherwise.
        if self._channel:
            return
        self._channel = channel
        channel.on("message", self._listener.message)
        channel.on("close", self._closed.set)
        self._listener.opened()

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self._connected.set()
        elif state in ("failed", "closed"):
            self._connected.set()
            self._closed.set()
