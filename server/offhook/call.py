"""`offhook call`: a caller for the command line, with captions."""

from __future__ import annotations

import asyncio
import time
import wave
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from offhook.errors import (
    InvalidRequest,
    MissingExtra,
    OffhookError,
    redact,
)
from offhook.protocol.playout import Playout
from offhook.target import key_for, target_of
from offhook.tasks import beside
from offhook.transports.websocket import OpenAIRealtimeWebSocket

try:
    from offhook.audio import byte_length
    from offhook.media.devices import microphone, speakers
    from offhook.media.files import read_pcm
    from offhook.media.tracks import PulledTrack, pcm_of
    from offhook.transports.webrtc import OpenAIRealtimeWebRTC
except ModuleNotFoundError as error:
    raise MissingExtra("media", str(error.name)) from None

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from offhook.events import Event
    from offhook.protocol.transport_events import Audio, Delta, TransportError
    from offhook.settings import CallSettings
    from offhook.transports.openai import OpenAITransport

    Write = Callable[[str], object]
    Sink = Callable[[bytes], object]

_RATE = 24000
_FRAME_MS = 20
# After a file has been said: how long to wait for something more to happen.
_QUIET_SECONDS = 3.0
_HEARD = "conversation.item.input_audio_transcription.completed"


async def call(
    url: str,
    settings: CallSettings,
    write: Write,
    *,
    quiet: float = _QUIET_SECONDS,
    record: Path | None = None,
) -> None:
    """Call, show what is said, and return when the call is over.

    Args:
        url: Whom to call; see `target_of`.
        settings: What with.
        write: Takes the captions, piece by piece.
        quiet: Seconds in which nothing happens any more, after a file has been said.
        record: A folder for a recording of it, in one of its own.

    Raises:
        OffhookError: The call cannot be made, or it broke.
    """
    target = target_of(url)
    voice = Voice(await _said(settings.in_))
    key = settings.key.get_secret_value() if settings.key else None
    minted = key is None
    if key is None:
        target, key = await key_for(target, settings)
    failures: list[TransportError] = []
    gone = asyncio.Event()
    async with AsyncExitStack() as stack:
        sink = stack.enter_context(_written(settings.out))
        make = _over_socket if target.is_socket else _over_webrtc
        line = await make(stack, voice, sink, defaults=not minted, record=record)
        transport = line.transport
        Captions(write).listen(transport)
        transport.on("error", failures.append)
        transport.on("disconnected", gone.set)
        stack.push_async_callback(transport.close)
        await transport.connect(url=target.url, api_key=key, model=settings.model)
        voice.begin()
        beside(stack, _hang_up(line, voice, quiet, settings.seconds, gone))
        await gone.wait()
    if line.recording():
        write(f"recorded: {line.recording()}\n")
    broken = [f.error for f in failures if isinstance(f.error, OffhookError)]
    if broken:
        raise broken[-1]


class Voice:
    """What the caller says: a file's sound and then silence, or a microphone's.

    Args:
        pcm: 24 kHz PCM; None stands for a microphone, which has no end.
    """

    def __init__(self, pcm: bytes | None) -> None:
        self.pcm = pcm
        self._at = 0
        self._begun = False

    @property
    def is_said(self) -> bool:
        """Whether the file has come to its end."""
        return self.pcm is not None and self._at >= len(self.pcm)

    def begin(self) -> None:
        """Say it, now that somebody listens."""
        self._begun = True

    def pull(self, ms: int) -> bytes:
        """Return the next milliseconds of it, or less."""
        if not self._begun or self.pcm is None:
            return b""
        chunk = self.pcm[self._at : self._at + byte_length(ms, _RATE)]
        self._at += len(chunk)
        return chunk


class Captions:
    """Writes down what both sides say, as it is said."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._speaker = ""

    def listen(self, transport: OpenAITransport) -> None:
        """Follow a call."""
        transport.on(_HEARD, self._take_caller)
        transport.on("audio_transcript_delta", self._take_agent)
        transport.on("output_text_delta", self._take_agent)
        transport.on("audio_interrupted", lambda _: self._add(" \N{EM DASH}"))
        transport.on("turn_done", lambda _: self._end())
        transport.on("error", self._take_error)

    def _take_caller(self, event: Event) -> None:
        self._end()
        if words := str(event.get("transcript") or "").strip():
            self._write(f"you: {words}\n")

    def _take_agent(self, delta: Delta) -> None:
        if not self._speaker:
            self._speaker = "agent"
            self._write("agent: ")
        self._add(delta.delta)

    def _take_error(self, error: TransportError) -> None:
        self._end()
        told = error.error
        text = told.get("message") if isinstance(told, dict) else told
        self._write(f"error: {redact(str(text))}\n")

    def _add(self, words: str) -> None:
        if self._speaker:
            self._write(words)

    def _end(self) -> None:
        if self._speaker:
            self._speaker = ""
            self._write("\n")


class Lull:
    """How long nothing has happened in a call; the time is an argument."""

    def __init__(self) -> None:
        self._since = 0.0
        self._answering = False
        self._playing = False

    def begin(self, now: float) -> None:
        """Count from here."""
        self._since = now

    def seconds(self, now: float) -> float:
        """Return how long it has been; nothing while an answer is made or played."""
        return 0.0 if self._answering or self._playing else now - self._since

    def take(self, event: Event, now: float) -> None:
        """Take a server event."""
        self._since = now
        match event["type"]:
            case "response.created" | "response.done":
                self._answering = event["type"] == "response.created"
            case "output_audio_buffer.started":
                self._playing = True
            case "output_audio_buffer.stopped" | "output_audio_buffer.cleared":
                self._playing = False


class Line(NamedTuple):
    """A transport.

    Attributes:
        is_playing: Whether what it has told of is still being played.
        recording: The folder of the call's recording.
    """

    transport: OpenAITransport
    is_playing: Callable[[], bool]
    recording: Callable[[], Path | None]


async def _over_webrtc(
    stack: AsyncExitStack,
    voice: Voice,
    sink: Sink | None,
    *,
    defaults: bool,
    record: Path | None,
) -> Line:
    transport = OpenAIRealtimeWebRTC(
        media_track="microphone" if voice.pcm is None else PulledTrack(voice.pull),
        audio_sink=sink or "speakers",
        defaults=defaults,
        record=record,
    )
    return Line(
        transport,
        lambda: False,  # events tell
        lambda: transport.recording,
    )


async def _over_socket(
    stack: AsyncExitStack,
    voice: Voice,
    sink: Sink | None,
    *,
    defaults: bool,
    record: Path | None,
) -> Line:
    transport = OpenAIRealtimeWebSocket(defaults=defaults, record=record)
    if sink is None:
        sink = await stack.enter_async_context(speakers())
    playout = Playout()

    def queue(audio: Audio) -> None:
        playout.put(audio.response_id, audio.item_id, audio.data)

    transport.on("audio", queue)
    transport.on("turn_done", lambda turn: playout.finish(turn.response_id))
    transport.on("audio_interrupted", lambda _: playout.clear())
    beside(stack, _play(playout, sink))
    if voice.pcm is None:
        track = await stack.enter_async_context(microphone())
        beside(stack, _listen(transport, pcm_of(track)))
    else:
        beside(stack, _listen(transport, _paced(voice.pull)))
    return Line(transport, lambda: playout.busy, lambda: transport.recording)


async def _play(playout: Playout, sink: Sink) -> None:
    """Play what is queued at the pace of time, and silence where nothing is."""
    async for pcm in _paced(lambda ms: playout.pull(ms)[0]):
        sink(pcm)


async def _listen(transport: OpenAITransport, audio: AsyncIterator[bytes]) -> None:
    async for pcm in audio:
        transport.send_audio(pcm)


async def _paced(pull: Callable[[int], bytes]) -> AsyncIterator[bytes]:
    size = byte_length(_FRAME_MS, _RATE)
    due = time.monotonic()
    while True:
        due += _FRAME_MS / 1000
        await asyncio.sleep(due - time.monotonic())
        # Silence, too: it is by the silence that the end of a sentence is known.
        yield pull(_FRAME_MS).ljust(size, b"\0")


async def _hang_up(
    line: Line,
    voice: Voice,
    quiet: float,
    seconds: float | None,
    done: asyncio.Event,
) -> None:
    """Say when the file is said and nothing more comes of it, or time is up."""
    lull, began = Lull(), time.monotonic()
    line.transport.on("*", lambda event: lull.take(event, time.monotonic()))
    while seconds is None or time.monotonic() - began < seconds:
        await asyncio.sleep(_FRAME_MS / 1000)
        if not voice.is_said or line.is_playing():
            lull.begin(time.monotonic())
        elif lull.seconds(time.monotonic()) > quiet:
            break
    done.set()


async def _said(source: str) -> bytes | None:
    if source == "mic":
        return None
    return await asyncio.to_thread(read_pcm, source)


@contextmanager
def _written(path: str) -> Iterator[Sink | None]:
    """Hold open what takes what is heard: a WAV file; None stands for the speakers.

    Raises:
        InvalidRequest: It would be no WAV file, or cannot be written.
    """
    if path in ("speakers", "none"):
        yield None if path == "speakers" else _unheard
        return
    if not path.lower().endswith(".wav"):
        raise _unwritable(path, "only WAV can, so let its name end in .wav")
    try:
        opened = open(path, "wb")
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from None
    with opened, wave.open(opened, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        yield file.writeframes


def _unheard(pcm: bytes) -> None:
    """Take what nobody hears."""


def _unwritable(path: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{path} cannot be written: {why}.", code="unwritable_audio")
