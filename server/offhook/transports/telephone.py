"""A telephone call beside a transport: carries audio and marks between the two."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from offhook.errors import OffhookError
from offhook.protocol import twilio
from offhook.protocol.client_config import session_update
from offhook.protocol.playback import AudioPart
from offhook.protocol.transcoding import ULAW, Transcoder
from offhook.protocol.transport_events import TransportError
from offhook.tasks import beside
from offhook.transports.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offhook.protocol.session_config import Session
    from offhook.protocol.transport_events import (
        Audio,
        AudioDone,
        TurnDone,
        TurnStarted,
    )
    from offhook.transports.base import RealtimeTransportLayer
    from offhook.transports.emitter import Emitter, Listener
    from offhook.wire.base import Wire

_log = logging.getLogger(__name__)

# The other side has closed in order, or has said nothing (RFC 6455 §7.4.1).
_LEFT = (1000, 1001, 1005)
# What the caller says while the model is not connected yet, or again: five seconds,
# of more the last ones.
_HELD_BYTES = 5 * 8000


@runtime_checkable
class Reported(Protocol):
    """A transport that can be told how much of an item was heard."""

    def played(self, item_id: str, ms: float, content_index: int = 0) -> None:
        """Tell it."""


class Telephone:
    """One Media Stream of Twilio's beside one transport.

    Args:
        wire: Twilio's end of it.
        transport: The model's.
        emitter: Is told of Twilio's messages, of pressed keys and of errors.
        inactivity_ms: As in `protocol.twilio.MediaStream`.

    Attributes:
        started: What Twilio said of the stream; None before it has started.
    """

    def __init__(
        self,
        wire: Wire,
        transport: RealtimeTransportLayer,
        emitter: Emitter,
        *,
        inactivity_ms: float | None,
    ) -> None:
        self.started: twilio.Started | None = None
        self._wire = wire
        self._transport = transport
        self._emitter = emitter
        self._stream = twilio.MediaStream(inactivity_ms=inactivity_ms)
        self._outbox = Outbox()
        self._formats: dict[str, Mapping[str, Any]] = {"input": ULAW, "output": ULAW}
        self._spoken: dict[str, Mapping[str, Any]] = {}  # by response
        self._hearing = Transcoder(ULAW, ULAW)
        self._held = b""
        self._saying: dict[AudioPart, Transcoder] = {}
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._handlers: Mapping[str, Listener] = {
            "connection_change": lambda *_: self._hear(b""),
            "turn_started": self._turn_started,
            "turn_done": self._turn_done,
            "audio": self._audio,
            "audio_done": self._audio_done,
            "audio_interrupted": self._interrupted,
            "input_audio_buffer.speech_started": partial(self._speech, True),
            "input_audio_buffer.speech_stopped": partial(self._speech, False),
            "disconnected": self.end,
        }

    def begin(self, config: Mapping[str, Any]) -> Session:
        """Prepare to carry the call, and complete a first configuration."""
        session = self.configured(config)
        self._over.clear()
        return session

    def configured(self, config: Mapping[str, Any]) -> Session:
        """Complete a configuration with the audio formats, and take note of them.

        Raises:
            InvalidRequest: It is none, or a telephone cannot have such audio.
            MissingExtra: The audio has to be converted, and numpy is not installed.
        """
        held = {side: {"format": format_} for side, format_ in self._formats.items()}
        session, warnings = session_update(config, base={"audio": held})
        for warning in warnings:
            _log.warning("%s", warning)
        formats = {}
        for side in self._formats:
            of_side = session["audio"][side]
            formats[side] = of_side["format"] = of_side["format"] or ULAW
        Transcoder(formats["output"], ULAW)  # raises where it cannot be done
        if formats["input"] != self._formats["input"]:
            self._hearing = Transcoder(ULAW, formats["input"])
        self._formats = formats
        return session

    @property
    def over(self) -> bool:
        """Whether either side has ended the call."""
        return self._over.is_set()

    async def ready(self) -> None:
        """Wait until the stream has started, or is over."""
        while not (self.started or self.over):
            self._changed.clear()
            await self._changed.wait()

    async def carry(self) -> None:
        """Carry the call until either side has ended it."""
        async with AsyncExitStack() as stack:
            stack.callback(self.end)
            for name, handler in self._handlers.items():
                self._transport.on(name, handler)
                stack.callback(self._transport.off, name, handler)
            writing = self._outbox.write(self._wire, self._fail)
            for work in (self._read(), writing, self._pad()):
                beside(stack, work)
            await self._over.wait()

    def end(self) -> None:
        """Say that the call is over."""
        self._over.set()
        self._changed.set()

    def _fail(self, error: OffhookError) -> None:
        if not self.over:
            self._emitter.emit("error", TransportError(error))
            self.end()

    async def _read(self) -> None:
        async for text in self._wire:
            for effect in self._stream.take(text, _now_ms()):
                self._act(effect)
            self._changed.set()
        closed = self._wire.closed
        if closed and closed.close_code not in _LEFT:
            self._fail(closed)
        self.end()

    def _act(self, effect: twilio.Effect) -> None:
        match effect:
            case twilio.Received(message):
                told = {"type": "twilio_message", "message": message}
                self._emitter.emit("*", told)
            case twilio.Started():
                self.started = effect
            case twilio.Heard(audio):
                self._hear(audio)
            case twilio.Played(item_id, content_index, ms):
                if isinstance(self._transport, Reported):
                    self._transport.played(item_id, ms, content_index)
            case twilio.Pressed(digit):
                self._emitter.emit("dtmf", digit)
            case twilio.Stopped():
                self.end()
            case twilio.Ignored(reason):
                _log.debug("a frame of Twilio's was ignored: %s", reason)

    async def _pad(self) -> None:
        while True:
            due = self._stream.ear.deadline
            if due is None:
                self._changed.clear()
                await self._changed.wait()
            else:
                await asyncio.sleep(max(0.0, due - _now_ms()) / 1000)
                self._hear(self._stream.ear.tick(_now_ms()))

    def _hear(self, audio: bytes) -> None:
        held = self._held + audio
        if self._transport.status != "connected":
            self._held = held[-_HELD_BYTES:]
            return
        self._held = b""
        try:
            if heard := self._hearing.feed(held):
                self._transport.send_audio(heard)
        except OffhookError as error:
            self._fail(error)  # a model that takes nothing any more

    def _speech(self, speaking: bool, *_: object) -> None:
        self._stream.ear.speech(speaking)
        self._changed.set()

    def _turn_started(self, event: TurnStarted) -> None:
        self._stream.mouth.response(event.response_id)
        audio = event.event["response"].get("audio") or {}
        if format_ := (audio.get("output") or {}).get("format"):
            self._spoken[event.response_id] = format_

    def _turn_done(self, event: TurnDone) -> None:
        self._stream.mouth.finish(event.response_id)
        self._spoken.pop(event.response_id, None)
        for part in [p for p in self._saying if p.response_id == event.response_id]:
            del self._saying[part]

    def _audio(self, event: Audio) -> None:
        part = AudioPart(event.response_id, event.item_id, event.content_index)
        if part not in self._saying:
            format_ = self._spoken.get(event.response_id, self._formats["output"])
            self._saying[part] = Transcoder(format_, ULAW)
        self._say(part, self._saying[part].feed(event.data))

    def _audio_done(self, event: AudioDone) -> None:
        part = AudioPart(event.response_id, event.item_id, event.content_index)
        if transcoder := self._saying.pop(part, None):
            self._say(part, transcoder.feed(b"", last=True))

    def _say(self, part: AudioPart, audio: bytes) -> None:
        for frame in self._stream.mouth.say(part, audio):
            self._outbox.put(frame)

    def _interrupted(self, *_: object) -> None:
        frames = self._stream.mouth.clear()
        self._outbox.clear()
        for frame in frames:
            self._outbox.put(frame)


def _now_ms() -> float:
    return asyncio.get_running_loop().time() * 1000
