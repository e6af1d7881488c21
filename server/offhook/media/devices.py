"""This machine's microphone and speakers, by PortAudio."""

from __future__ import annotations

import asyncio
import fractions
import logging
import threading
from collections import deque
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from offhook.audio import byte_length
from offhook.errors import MissingExtra, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager, AsyncExitStack

_log = logging.getLogger(__name__)

_Device = TypeVar("_Device")

# PortAudio's host systems convert to what the hardware does.
_RATE = 24000
_BLOCK_MS = 20
_BLOCK = _RATE * _BLOCK_MS // 1000
_FORMAT = {"samplerate": _RATE, "channels": 1, "dtype": "int16", "blocksize": _BLOCK}
# Of what nobody takes in time the oldest is dropped.
_UNSENT_BLOCKS = 10
_UNPLAYED = byte_length(400, _RATE)
# What is kept before the speakers begin: arrival has its jitter.
_AHEAD = byte_length(60, _RATE)


@asynccontextmanager
async def microphone() -> AsyncIterator[MediaStreamTrack]:
    """Hold the default microphone, as a track; it listens from its first frame on.

    Raises:
        MissingExtra: `sounddevice` is not installed.
        SettingsError: PortAudio is not, or there is no microphone.
    """
    track = _Microphone()
    stream = _opened("RawInputStream", callback=track.capture)
    track.listen = stream.start
    try:
        yield track
    finally:
        track.stop()
        stream.close()


@asynccontextmanager
async def speakers() -> AsyncIterator[Callable[[bytes], None]]:
    """Hold the default speakers, as a function that plays 24 kHz PCM.

    Raises:
        MissingExtra: `sounddevice` is not installed.
        SettingsError: PortAudio is not, or there are no speakers.
    """
    buffer = _Speakers()
    stream = _opened("RawOutputStream", callback=buffer.fill)
    try:
        stream.start()
        yield buffer.play
    finally:
        stream.close()


async def held_if_any(
    stack: AsyncExitStack, device: AbstractAsyncContextManager[_Device]
) -> _Device | None:
    """Hold a device until the stack is left; None where there is none to be had.

    What is missing is told by a warning.
    """
    try:
        return await stack.enter_async_context(device)
    except (MissingExtra, SettingsError) as error:
        _log.warning("the call goes on without a device: %s", error)
        return None


class _Microphone(MediaStreamTrack):
    kind = "audio"
    listen: Callable[[], None] | None = None

    def __init__(self) -> None:
        super().__init__()
        self._home = asyncio.get_running_loop()
        self._blocks: deque[bytes] = deque(maxlen=_UNSENT_BLOCKS)
        self._arrived = asyncio.Event()

    def capture(self, block: Any, *_: object) -> None:
        """Take what PortAudio's thread brings."""
        try:
            self._home.call_soon_threadsafe(self._take, bytes(block))
        except RuntimeError:
            pass  # the loop has just ended

    def _take(self, block: bytes) -> None:
        self._blocks.append(block)
        self._arrived.set()

    async def recv(self) -> AudioFrame:
        if self.listen:
            self.listen()
            self.listen = None
        while not self._blocks:
            if self.readyState != "live":
                raise MediaStreamError
            self._arrived.clear()
            await self._arrived.wait()
        samples = np.frombuffer(self._blocks.popleft(), "<i2").reshape(1, -1)
        frame = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = _RATE
        frame.time_base = fractions.Fraction(1, _RATE)
        return frame


class _Speakers:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = bytearray()  # bounded by _UNPLAYED
        self._plays = False

    def play(self, pcm: bytes) -> None:
        with self._lock:
            self._waiting += pcm
            del self._waiting[:-_UNPLAYED]

    def fill(self, block: Any, *_: object) -> None:
        """Give PortAudio's thread what it plays next."""
        with self._lock:
            self._plays = self._plays or len(self._waiting) >= _AHEAD
            wanted = len(block) if self._plays else 0
            pcm = bytes(self._waiting[:wanted])
            del self._waiting[:wanted]
            self._plays = self._plays and len(pcm) == wanted
        block[:] = pcm.ljust(len(block), b"\0")


def _opened(kind: str, **options: Any) -> Any:
    try:
        sounddevice = import_module("sounddevice")
    except ModuleNotFoundError as error:
        raise MissingExtra("devices", str(error.name)) from None
    except OSError:
        # Its wheels for Windows and macOS bring PortAudio along.
        raise SettingsError(
            "PortAudio is not installed. On Debian and Ubuntu run: apt install "
            "libportaudio2",
            code="missing_portaudio",
        ) from None
    try:
        return getattr(sounddevice, kind)(**_FORMAT, **options)
    except sounddevice.PortAudioError as error:
        if kind == "RawInputStream":
            what, own, flag = "is no microphone", "media_track=", "--in"
        else:
            what, own, flag = "are no speakers", "audio_sink=", "--out"
        raise SettingsError(
            f"There {what} to be used ({error}): pass {own} of your own, or {flag} "
            "with a file to `offhook call`.",
            code="missing_device",
        ) from None
