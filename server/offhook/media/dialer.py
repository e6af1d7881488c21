"""One offering peer connection: audio both ways, and a data channel for events."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamError
from av.frame import Frame

from offhook.errors import InvalidRequest, SettingsError, UpstreamError
from offhook.media.bypass import opus_payload_type
from offhook.media.descriptions import check_bundle
from offhook.media.hardening import close, configured, harden
from offhook.media.presence import SILENCE_SECONDS, gone
from offhook.media.private import (
    listen_eagerly,
    measure_levels_quickly,
    offer_loopback_when_alone,
    overhear,
    turn_deaf,
)
from offhook.media.servers import IceServers
from offhook.media.tracks import PulledTrack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offhook.media.filter import SourceFilter
    from offhook.media.path import Tap

_log = logging.getLogger(__name__)

# What OpenAI's own clients call their channel.
_CHANNEL = "oai-events"
# Bytes in aiortc's queue; whoever sends more waits.
_UNSENT_BYTES = 2**20

# Takes an offer to the server, and brings its answer.
Exchange = Callable[[str], Awaitable[str]]
# Gets a connection that has its track and its channel, and may give another one.
Change = Callable[
    [RTCPeerConnection], RTCPeerConnection | Awaitable[RTCPeerConnection | None] | None
]


class Dialer:
    """A peer connection that offers one call.

    Use as `async with Dialer(...) as dialer`; leaving closes the connection.

    Args:
        message: Called with each text of the other side, on the event loop.
        ended: Called once if the call ends, not by us, after it was open: with the
            reason, or None if the other side hung up in order.
        pull: The audio to send; see `PulledTrack`.
        hear: Called with each frame that is received; None lets none be decoded.
        change: See `Change`.
        ice_servers: STUN and TURN servers. Candidates are never sent, so that a server
            in a public network needs none; one that is dead costs a second.
        patience: Seconds for everything up to the open channel.
        silence: Seconds without a sign of life before the connection counts as
            disturbed; as long again, and it has ended.
        overhear: Called with each packet of Opus that is sent, and that is received.
    """

    def __init__(
        self,
        message: Callable[[str], None],
        ended: Callable[[str | None], None],
        pull: Callable[[int], bytes],
        hear: Callable[[Frame], None] | None = None,
        *,
        change: Change | None = None,
        ice_servers: Sequence[RTCIceServer | str] = (),
        patience: float | None = 15.0,
        silence: float = SILENCE_SECONDS,
        overhear: tuple[Tap, Tap] | None = None,
    ) -> None:
        offer_loopback_when_alone()
        measure_levels_quickly()
        self._message = message
        self._tell_end = ended
        self._pull = pull
        self._hear = hear
        self._change = change
        self._patience = patience
        self._silence = silence
        self._overhear = overhear
        servers = [_ice_server(server) for server in ice_servers]
        self.connection = RTCPeerConnection(
            RTCConfiguration(servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._channel: RTCDataChannel | None = None
        self._opened = asyncio.Event()
        self._ended = False
        self._reason: str | None = None
        self._room = asyncio.Event()
        self._gathering: asyncio.Task[None] | None = None
        self._filters: list[SourceFilter] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._closing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def dial(self, exchange: Exchange) -> None:
        """Offer the call, and return when events can be sent.

        Args:
            exchange: Takes the offer to the server and brings the answer; what it
                raises, this raises.

        Raises:
            InvalidRequest: The ICE servers are none, or the changed connection is.
            UpstreamError: The answer cannot be used, or nothing comes of it.
        """
        step = "answer the offer"
        try:
            async with asyncio.timeout(self._patience):
                await self._prepare()
                self._harden()
                offer = await self.connection.createOffer()
                # The candidates are for us: the server finds us by our checks.
                self._gathering = asyncio.create_task(
                    self.connection.setLocalDescription(offer)
                )
                answer = await exchange(offer.sdp)
                step = "open the call: its UDP ports may be blocked on the way"
                await asyncio.shield(self._gathering)
                await self._accept(answer)
                await self._opened.wait()
        except TimeoutError:
            raise UpstreamError(
                f"The server did not, within {self._patience:g} seconds, {step}.",
                code="upstream_timeout",
                status=504,
            ) from None
        if self._ended:
            raise UpstreamError(
                "The call ended before it was open"
                f"{f' ({self._reason})' if self._reason else ''}: try again later.",
                code="upstream_failed",
            )
        self._tasks.append(asyncio.create_task(self._watch()))

    async def send(self, text: str) -> None:
        """Send a text, and wait while too much is under way; not after the end.

        Raises:
            InvalidRequest: It is longer than the other side takes.
        """
        channel = self._channel
        if channel is None or channel.readyState != "open":
            self._end(None)
            return
        try:
            channel.send(text)
        except ValueError:
            raise InvalidRequest(
                f"The event of {len(text)} characters is longer than the server takes "
                "over WebRTC: send less at once.",
                code="event_too_long",
            ) from None
        except InvalidStateError:
            self._end(None)
        while not self._ended and channel.bufferedAmount > _UNSENT_BYTES:
            self._room.clear()
            await self._room.wait()

    async def close(self) -> None:
        """Close the connection; safe to call twice, and to cancel."""
        self._ended = True
        self._wake()
        # aiortc cannot go on with a close that was cancelled.
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._gathering:
            # Sockets that it has half made would stay.
            await asyncio.wait([self._gathering])
        await close(self.connection, self._filters)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _prepare(self) -> None:
        self._equip()
        if self._change is None:
            return
        changed = self._change(self.connection)
        if inspect.isawaitable(changed):
            changed = await changed
        if not isinstance(changed, RTCPeerConnection | None):
            raise InvalidRequest(
                "change_peer_connection has to return an RTCPeerConnection or None, "
                f"not {type(changed).__name__}.",
                code="invalid_peer_connection",
            )
        if changed is not None and changed is not self.connection:
            old, self.connection = self.connection, changed
            await old.close()
            self._equip()

    def _harden(self) -> None:
        try:
            network = configured(self.connection)
        except SettingsError as error:
            raise _unusable(str(error)) from None
        servers = IceServers(network)
        self._filters = harden(self.connection, network, servers, self._break)

    def _equip(self) -> None:
        connection = self.connection
        try:
            connection.addTrack(PulledTrack(self._pull))
        except ValueError as error:
            raise _unusable(str(error)) from None
        channel = self._channel = connection.createDataChannel(_CHANNEL)
        channel.bufferedAmountLowThreshold = _UNSENT_BYTES
        channel.on("open", self._opened.set)
        channel.on("message", self._on_message)
        channel.on("close", self._on_close)
        channel.on("bufferedamountlow", self._room.set)
        connection.on("connectionstatechange", self._on_state)

    async def _accept(self, answer: str) -> None:
        try:
            check_bundle(answer)
            await self.connection.setRemoteDescription(
                RTCSessionDescription(answer, "answer")
            )
        except Exception as error:
            # aiortc checks what it parses with assertions and bare exceptions.
            _log.info("answer refused: %s", type(error).__name__)
            raise _malformed("it does not fit our offer") from None
        voice = self._voice()
        if voice is None or voice.currentDirection in (None, "inactive"):
            raise _malformed("it has no audio")
        receiver = voice.receiver
        if self._overhear:
            overhear(voice, opus_payload_type(voice), *self._overhear)
        if self._hear is None or receiver.track is None:
            turn_deaf(receiver)
        else:
            listen_eagerly(receiver)
            reading = self._read(receiver.track, self._hear)
            self._tasks.append(asyncio.create_task(reading))

    def _voice(self) -> RTCRtpTransceiver | None:
        transceivers = self.connection.getTransceivers()
        return next((t for t in transceivers if t.kind == "audio"), None)

    async def _read(
        self, track: MediaStreamTrack, hear: Callable[[Frame], None]
    ) -> None:
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, Frame):
                    hear(frame)
        except MediaStreamError:
            return

    async def _watch(self) -> None:
        await gone(self.connection, self._silence)
        self._end(f"nothing has come for {2 * self._silence:g} seconds")

    def _on_message(self, text: str | bytes) -> None:
        if isinstance(text, str) and not self._ended:
            self._message(text)

    def _break(self, error: Exception) -> None:
        if not self._ended:
            _log.warning("the call broke: %s", type(error).__name__, exc_info=error)
        self._end("what came could not be understood")

    def _on_state(self) -> None:
        if self.connection.connectionState in ("failed", "closed"):
            self._on_close()

    def _on_close(self) -> None:
        # Without a network aiortc closes everything, too; only ICE knows why.
        voice = self._voice()
        ice = voice.receiver.transport.transport.state if voice else "closed"
        self._end("the network path is lost" if ice == "failed" else None)

    def _end(self, reason: str | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._reason = reason
        told = self._opened.is_set()
        self._wake()
        if told:
            self._tell_end(reason)

    def _wake(self) -> None:
        self._opened.set()
        self._room.set()


def _ice_server(server: object) -> RTCIceServer:
    if isinstance(server, RTCIceServer):
        return server
    if isinstance(server, str):
        return RTCIceServer(server)
    raise _unusable(f"{type(server).__name__} is no RTCIceServer")


def _unusable(reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"The ice_servers cannot be used ({reason}): give URLs such as "
        "stun:stun.example.com:3478",
        code="invalid_ice_servers",
    )


def _malformed(reason: str) -> UpstreamError:
    return UpstreamError(
        f"The server's answer cannot be used: {reason}. Check the URL.",
        code="upstream_malformed",
    )
