"""A transport over WebRTC: the audio flows beside the events."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from offhook.errors import InvalidRequest, MissingExtra
from offhook.protocol import transport_events as told
from offhook.protocol.spoken import SpokenPart
from offhook.tasks import beside
from offhook.transports.openai import OpenAITransport
from offhook.transports.signalling import exchange
from offhook.wire.pushed import Pushed

try:
    from offhook.media.devices import held_if_any, microphone
    from offhook.media.dialer import Dialer
    from offhook.media.incoming import Hearing
    from offhook.media.outgoing import Outgoing
    from offhook.transports.recording import Recording
except ModuleNotFoundError as error:
    raise MissingExtra("media", str(error.name)) from None

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from os import PathLike

    from aiortc import MediaStreamTrack, RTCIceServer, RTCPeerConnection

    from offhook.media.dialer import Change
    from offhook.media.incoming import AudioSink
    from offhook.protocol.reconnect import Reconnect
    from offhook.transports.base import ApiKey
    from offhook.transports.signalling import Signalling
    from offhook.wire.base import Wire

    TrackOrDevice = MediaStreamTrack | Literal["microphone", "auto"]

_URL = "https://api.openai.com/v1/realtime/calls"
# The configuration goes over the channel; who is late with it is only warned of.
_ACKNOWLEDGE_SECONDS = 5.0


class OpenAIRealtimeWebRTC(OpenAITransport):
    """A Realtime session over WebRTC, with a microphone and speakers or your own.

    `connect` returns once the server has taken the configuration, or five seconds after
    the events' channel has opened; another `connect` meanwhile joins it. The server
    knows what was heard of an answer, and cuts it there. What you pass in stays yours:
    a track is never stopped, a recorder never ended.

    Args:
        api_key: A key, or a function that gives one; `connect` may get another.
        model: The model to ask for.
        url: Where offers are posted to, the whole of it; by default OpenAI.
        headers: Sent with the offer, besides Authorization.
        media_track: An audio track of aiortc's to send; "microphone", or "auto" for one
            if there is any; None sends silence. Where a track gives nothing, or has
            ended, silence is sent. What `send_audio` gets, as 24 kHz PCM16, is said
            over it.
        audio_sink: Who hears the answers: a recorder of aiortc's, which is started by
            the first `connect`; a function of 24 kHz mono PCM16, which may be a
            coroutine function; "speakers", or "auto" for them if there are any; None
            receives no audio.
        audio_events: Whether the answers come as `audio` events, too, as 24 kHz PCM16.
        change_peer_connection: Gets the RTCPeerConnection before it offers, and may
            return another one, which then gets the track and the channel.
        ice_servers: STUN and TURN servers, as URLs or as aiortc's RTCIceServer.
        open_timeout: Seconds for everything up to the open channel.
        reconnect: What to do when the connection breaks; by default nothing.
        defaults: Whether what a configuration leaves out is asked for as the JavaScript
            SDK does; otherwise it stays as the server has it, as behind a relay.
        signalling: Takes an offer to the server in your own way, and brings its answer;
            in place of a POST to the URL.
        record: A folder for recordings: in it each call gets one of its own, with what
            was said, what was heard, and what happened; see `recording`.

    Raises:
        MissingExtra: On import, without the extra `media`.
        InvalidRequest: What is to be sent is no audio track, or who hears no sink.
    """

    def __init__(
        self,
        *,
        api_key: ApiKey | None = None,
        model: str | None = None,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        media_track: TrackOrDevice | None = "auto",
        audio_sink: AudioSink | None = "auto",
        audio_events: bool = False,
        change_peer_connection: Change | None = None,
        ice_servers: Sequence[RTCIceServer | str] = (),
        open_timeout: float | None = 15.0,
        reconnect: Reconnect | None = None,
        defaults: bool = True,
        signalling: Signalling | None = None,
        record: str | PathLike[str] | None = None,
    ) -> None:
        self._signalling = signalling
        self._headers = headers or {}
        self._track = _checked(media_track)
        self._voice = Outgoing()
        self._spoken = SpokenPart()
        events = [self._tell_audio] if audio_events else []
        self._hearing = Hearing(*([] if audio_sink is None else [audio_sink]), *events)
        self._options: dict[str, Any] = {
            "change": change_peer_connection,
            "ice_servers": ice_servers,
            "patience": open_timeout,
        }
        recorded = None if record is None else Recording(record)
        if recorded:
            self._options["overhear"] = recorded.said, recorded.heard
        self._dialer: Dialer | None = None
        self._call_id: str | None = None
        super().__init__(
            self._dialled,
            address=_address,
            api_key=api_key,
            model=model,
            url=url,
            microphone=self._voice,
            acknowledge=_ACKNOWLEDGE_SECONDS,
            coalesce=True,
            reconnect=reconnect,
            defaults=defaults,
            recorded=recorded,
        )
        if audio_events:
            self.on("*", self._spoken.take)

    @property
    def call_id(self) -> str | None:
        """The id of the present or last call, for a sideband; None if unknown."""
        return self._call_id

    @property
    def peer_connection(self) -> RTCPeerConnection | None:
        """The present connection of aiortc's; None while there is none."""
        return self._dialer.connection if self._dialer else None

    @asynccontextmanager
    async def _dialled(self, url: str, key: str) -> AsyncIterator[Wire]:
        self._call_id = None
        self._spoken.reset()
        self._voice.forget()
        left = 1000
        async with AsyncExitStack() as stack:
            # Devices first: without them no call should begin.
            track = self._track
            if track == "microphone":
                track = await stack.enter_async_context(microphone())
            elif track == "auto":
                track = await held_if_any(stack, microphone())
            hear = await stack.enter_async_context(self._hearing.call())

            async def post(offer: str) -> str:
                answer = await (
                    self._signalling(offer)
                    if self._signalling
                    else exchange(url, key, offer, self._headers)
                )
                self._call_id = answer.call_id
                return answer.sdp

            def take(text: str) -> None:
                nonlocal left
                if "session_expired" in text:
                    left = 1001  # as over a WebSocket, whose close says it itself
                wire.take(text)

            def ended(reason: str | None) -> None:
                wire.end(1006 if reason else left, reason or "")

            pull = self._voice.pull
            dialer = Dialer(take, ended, pull, hear, **self._options)
            wire = Pushed(dialer.send, dialer.close)
            await stack.enter_async_context(dialer)
            self._dialer = dialer
            stack.callback(self._forget, dialer)
            await dialer.dial(post)
            if track is not None and not isinstance(track, str):
                beside(stack, self._voice.read(track))
            yield wire

    def _forget(self, dialer: Dialer) -> None:
        if self._dialer is dialer:
            self._dialer = None

    def _tell_audio(self, pcm: bytes) -> None:
        if self._spoken.part:
            self._emitter.emit("audio", told.Audio(pcm, *self._spoken.part))


def _checked(
    track: TrackOrDevice | None,
) -> TrackOrDevice | None:
    if track in (None, "microphone", "auto") or getattr(track, "kind", "") == "audio":
        return track
    raise InvalidRequest(
        "media_track has to be an audio track, for example MediaPlayer(…).audio",
        code="invalid_track",
    )


def _address(call_id: str | None, url: str | None, model: str | None) -> str:
    """Return where offers go; the model goes into the session's configuration."""
    if call_id is not None:
        raise InvalidRequest(
            "Over WebRTC a call is begun, not joined: join it by its call_id over "
            "OpenAIRealtimeWebSocket.",
            code="not_supported",
        )
    return url or _URL
