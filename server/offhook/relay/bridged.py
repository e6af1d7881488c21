"""Bridged calls: a peer of ours answers the caller, a transport leads to the model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest, OffhookError
from offhook.events import new_id
from offhook.http.race import after, first
from offhook.media.bypass import RtpPath
from offhook.media.leg import Leg, couple
from offhook.media.voice import PcmPath
from offhook.protocol.bridge import Bridge, Interrupt, ToCaller, ToServer
from offhook.protocol.consent import Consent
from offhook.protocol.narration import Narration
from offhook.relay.recording import CallRecording
from offhook.relay.soundboard import START, STOP, Soundboard
from offhook.relay.statistics import Meter
from offhook.relay.studio import Sides
from offhook.tasks import beside
from offhook.transports.openai import OpenAITransport
from offhook.transports.webrtc import OpenAIRealtimeWebRTC

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offhook.events import Event
    from offhook.media.factory import PeerFactory
    from offhook.media.path import PacketPath
    from offhook.media.player import Playable, Playback
    from offhook.protocol.policy import Policy
    from offhook.protocol.transport_events import TransportError
    from offhook.relay.calls import LiveCall
    from offhook.relay.cues import Cue, To
    from offhook.relay.model_legs import ModelLeg
    from offhook.relay.studio import Studio
    from offhook.transports.base import RealtimeTransportLayer

_log = logging.getLogger(__name__)

# How long a caller that is connected may take to open its channel.
_OPENING_SECONDS = 2.0

# What an application does beside a call.
Hook = Callable[["BridgedCall"], Awaitable[None]]


class BridgedCall:
    """One call: a peer in front of a transport.

    Args:
        leg: The model's side.
        policy: Judges the events of both sides.
        session: What the session is.
        peers: Makes the caller's peer.
        seconds: How long it may last.
        consent: What may be recorded of it; by default nothing.
        studio: Makes the recordings, where there may be any.
        cues: The sounds that it knows by name.
        hook: Run beside the call once its audio passes; see `create_app`.

    Attributes:
        call_id: `rtc_…`.
        caller: The caller's audio, once it is up; what is played to it is heard by
            the caller and not by the model. While a sound is played alone, a model
            that is not held over WebRTC waits with what it says: it is heard after
            the sound, and is not taken for heard before.
        model: The model's audio, likewise; and what it says passes.
        reason: Why it has ended.

    Raises:
        ServerError: Too many callers are about to connect.
    """

    def __init__(
        self,
        leg: ModelLeg,
        policy: Policy,
        session: Mapping[str, Any],
        peers: PeerFactory,
        *,
        seconds: float,
        consent: Consent | None = None,
        studio: Studio | None = None,
        cues: Mapping[str, Cue] | None = None,
        hook: Hook | None = None,
    ) -> None:
        self.call_id = new_id("rtc")
        self.caller: Leg | None = None
        self.model: Leg | None = None
        self.reason = "server"
        self._consent = consent or Consent("never", given=False)
        self._studio = studio
        self._recording: CallRecording | None = None
        self._hook = hook
        self._leg = leg
        self._seconds = seconds
        # How the model's side ended, if it was the first.
        self._left = "lost"
        # Over WebRTC the model's audio passes as packets, and its server plays it.
        self._passes = isinstance(leg.transport, OpenAIRealtimeWebRTC)
        self._bridge = Bridge(
            policy,
            plays=not self._passes,
            narrated=None if leg.speaks_realtime else session,
        )
        # What passes follows no other packets of ours (RFC 3711 §3.3.2).
        self._peer = peers.make(self, None)
        self._board = Soundboard(cues or {}, self._tell)
        self._near = asyncio.Event()  # set when the caller's audio is up
        self._open = asyncio.Event()
        self._ended = asyncio.Event()
        self._listen()

    async def answer(self, offer: str) -> str:
        """Return the SDP answer.

        Raises:
            InvalidRequest: `invalid_offer`; the call is closed then.
        """
        return await self._peer.answer(offer)

    async def run(self, live: LiveCall) -> None:
        """Hold both sides until either leaves, or time is up."""
        self._bridge.watch(live.take)
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            if self._studio:
                recording = CallRecording(self._studio, live, self._consent, self._tell)
                self._recording = recording
                # Ends last of all: nobody waits for a disk.
                beside(stack, recording.run())
            stack.push_async_callback(self._leg.close)
            await stack.enter_async_context(self._peer)
            stack.callback(self._board.close)
            # At the same time: either may be there before the other.
            end = await first(
                caller=self._hold_caller(live), model=self._hold_model(live)
            )
            self.reason = self._left if end == "model" else self.reason
        _log.info("call %s ended after %.0f s", self.call_id, time.monotonic() - began)

    def play(
        self, sound: str | Playable, *, to: To | None = None, **how: Any
    ) -> Playback:
        """Play a sound of the agent's settings by its name, or any other.

        Args:
            sound: Its name, a `Sound`, or what makes a live track.
            to: Who hears it: "caller", "model" or "both"; by default as the settings
                say, or the caller.
            how: The options of `Leg.play`, in place of the settings'.

        Raises:
            InvalidRequest: There is no such name, that side is not up yet, or too many
                sounds play.
        """
        return self._board.play(sound, to=to, **how)

    def stop(self, name: str) -> None:
        """Stop a sound of the agent's settings, if it plays."""
        self._board.stop(name)

    async def hang_up(self) -> None:
        """End the call; `run` returns."""
        await self._peer.close()

    def opened(self) -> None:
        """The caller's channel can carry events now."""
        self._open.set()
        self._bridge.opened()
        self._act()

    def message(self, text: str | bytes) -> None:
        """Take an event of the caller's."""
        self._bridge.hear(text)
        self._act()

    def audio(self, pcm: bytes) -> None:
        """Drop what the caller says before its audio passes: nobody is there."""

    async def _hold_caller(self, live: LiveCall) -> None:
        """Return when the caller has left."""
        try:
            await first(gone=self._peer.run(), audio=self._hear_caller(live))
            self.reason = "caller"
        except OffhookError as error:
            _log.warning("call %s is given up: %s", self.call_id, error)
            self.reason = "failed"
            self._fail(error.message, error.code or "server_error")
            await self._peer.drain()

    async def _hear_caller(self, live: LiveCall) -> None:
        await self._peer.connected()
        live.connected()
        async with Leg(RtpPath.of(self._peer.connection)) as self.caller:
            if self._recording:
                # Before any sound: an announcement is in the recording.
                sides = Sides(self.caller.tap_said, self.caller.tap_heard)
                await self._recording.attach(sides)
            self._near.set()
            self._board.open("caller", self.caller)
            self._act()
            await asyncio.Event().wait()  # until cancelled

    async def _hold_model(self, live: LiveCall) -> None:
        """Return when the model has left or time is up, and the caller knows it."""
        # A session costs money from its beginning. The caller has the answer now, and
        # is still to connect; who never does costs nothing.
        await self._peer.reached()
        try:
            await self._leg.connect()
            await self._converse(live)
        except Exception as error:
            self._left = "failed"
            known = isinstance(error, OffhookError)
            _log.warning(
                "call %s lost its model: %s", self.call_id, error, exc_info=not known
            )
            # What is wrong with the upstream is the operator's business.
            self._fail("The model cannot be reached: try again later.")
        await self._peer.connected()
        # Who has opened no channel by then may never do so.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OPENING_SECONDS):
                await self._open.wait()
        await self._peer.drain()

    async def _converse(self, live: LiveCall) -> None:
        self._bridge.connected()
        self._act()
        async with AsyncExitStack() as stack:
            await self._couple(stack, live)
            end = await first(left=self._ended.wait(), late=after(self._seconds))
        if end == "late":
            self._left = "limit"
            self._fail("The call has reached its longest duration.", "session_expired")

    async def _couple(self, stack: AsyncExitStack, live: LiveCall) -> None:
        """Let the audio of both sides pass, once both are there."""
        await self._near.wait()
        path = self._model_path()
        if path is None or self._ended.is_set():
            return  # it has left meanwhile
        assert self.caller
        self.model = await stack.enter_async_context(Leg(path))
        couple(self.caller, self.model)
        legs = {"caller": self.caller, "model": self.model}
        meter = Meter(live, legs, lambda: self._peer.dropped)
        beside(stack, (await stack.enter_async_context(meter)).run())
        self._board.open("model", self.model)
        if self._hook:
            beside(stack, self._run_hook(self._hook))

    def _model_path(self) -> PacketPath | None:
        if not self._passes:
            return PcmPath(self._pull, self._say, self._bridge.lacks)
        theirs = getattr(self._leg.transport, "peer_connection", None)
        return RtpPath.of(theirs) if theirs else None

    async def _run_hook(self, hook: Hook) -> None:
        try:
            await hook(self)
        except Exception:
            _log.exception(
                "call %s goes on without its hook, which failed", self.call_id
            )

    def _take_own(self, event: Event) -> None:
        try:
            if event["type"] in (START, STOP):
                self._board.hear(event)
            else:
                (self._recording or self._consent).take(event)
        except InvalidRequest as error:
            self._bridge.refuse(error, event)
            self._act()
        if self._consent.over:
            self._left = "consent"
            self._fail("This call may not go on unrecorded.", "consent_required")
            self._ended.set()

    def _tell(self, event: Event) -> None:
        self._bridge.note(event)
        self._act()

    def _fail(self, message: str, code: str = "upstream_error") -> None:
        self._bridge.fail(message, code)
        self._act()

    def _listen(self) -> None:
        transport, bridge = self._leg.transport, self._bridge
        for name, take in (
            ("audio", bridge.audio),
            ("turn_done", lambda turn: bridge.finished(turn.response_id)),
            ("audio_interrupted", lambda _: bridge.interrupted()),
        ):
            transport.on(name, self._then_act(take))
        if self._leg.speaks_realtime:
            transport.on("*", self._then_act(bridge.take))
            transport.on("*", self._forget_cleared)
        else:
            for name, narrate in Narration().listeners.items():
                transport.on(name, self._then_act(bridge.narrating(narrate)))
        transport.on("error", self._take_error)
        transport.on("disconnected", self._ended.set)

    def _forget_cleared(self, event: Event) -> None:
        # What its server takes for unplayed may still wait here for a sound's end.
        if event.get("type") == "output_audio_buffer.cleared" and self.caller:
            self.caller.forget()

    def _take_error(self, error: TransportError) -> None:
        # What the model's server says is told as it came; this is about the way to it.
        if self._leg.transport.status == "disconnected":
            _log.warning("call %s lost its model: %s", self.call_id, error.error)
            self._fail("The connection to the model broke: call again.")

    def _then_act(self, take: Callable[[Any], object]) -> Callable[[Any], None]:
        def took(told: Any) -> None:
            take(told)
            self._act()

        return took

    def _pull(self, ms: int) -> bytes:
        if self.caller is None or not self.caller.listens:
            return b""
        pcm, position = self._bridge.pull(ms)
        if position and isinstance(self._leg.transport, OpenAITransport):
            self._leg.transport.played(*position)
        self._act()
        return pcm

    def _say(self, pcm: bytes) -> None:
        try:
            self._leg.transport.send_audio(pcm)
        except Exception as error:
            self._give_up(error)

    def _act(self) -> None:
        try:
            for action in self._bridge.drain():
                if isinstance(action, ToCaller):
                    self._peer.send(action.text)
                elif isinstance(action, ToServer):
                    self._take_own(action.event)
                elif self._ended.is_set():
                    pass  # there is no model any more
                elif isinstance(action, Interrupt):
                    self._leg.transport.interrupt()
                elif self._leg.speaks_realtime:
                    self._leg.transport.send_event(action.event)
                else:
                    _ask(self._leg.transport, action.event)
        except Exception as error:  # a transport of the user's own raises anything
            self._give_up(error)
        self._board.wait(self._near.is_set() and self._bridge.waits)

    def _give_up(self, error: Exception) -> None:
        if self._ended.is_set():
            return
        known = isinstance(error, OffhookError)
        _log.warning("call %s is given up: %s", self.call_id, error, exc_info=not known)
        self._left = "failed"
        self._ended.set()
        self._fail("The connection to the model broke: call again.")


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
