"""What a caller hears, passed on to whoever wants it, and kept from who is slow."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from offhook.errors import InvalidRequest
from offhook.media.devices import held_if_any, speakers
from offhook.media.tracks import pcm_of
from offhook.tasks import beside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from av.frame import Frame

_log = logging.getLogger(__name__)

# A second. Who is later misses the oldest, as one does who is late on a telephone.
_UNHEARD_FRAMES = 50


@runtime_checkable
class Recorder(Protocol):
    """What takes a track, such as aiortc's MediaRecorder and MediaBlackhole."""

    def addTrack(self, track: MediaStreamTrack) -> Any:
        """Take a track."""

    async def start(self) -> Any:
        """Begin to read it."""


# Takes 24 kHz PCM; may be a coroutine function.
PcmFunction = Callable[[bytes], object]
AudioSink = Recorder | PcmFunction | Literal["speakers", "auto"]


class Incoming(MediaStreamTrack):
    """A track of what is received; it goes on from call to call.

    Frames that nobody reads in time are dropped, the oldest first.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._frames: deque[tuple[Frame, int | None]] = deque(maxlen=_UNHEARD_FRAMES)
        self._arrived = asyncio.Event()
        self._offset: int | None = None
        self._next = 0

    def begin(self) -> None:
        """Follow a new call: its time goes on where that of the last one ended."""
        self._offset = None

    def put(self, frame: Frame) -> None:
        """Take a frame as it was received."""
        pts = frame.pts
        if pts is not None:
            if self._offset is None:
                self._offset = self._next - pts
            pts += self._offset
            self._next = pts + getattr(frame, "samples", 0)
        self._frames.append((frame, pts))
        self._arrived.set()

    async def recv(self) -> Frame:
        """Return the next frame."""
        while not self._frames:
            if self.readyState != "live":
                raise MediaStreamError
            self._arrived.clear()
            await self._arrived.wait()
        frame, pts = self._frames.popleft()
        frame.pts = pts
        return frame

    def stop(self) -> None:
        """End the track; what is there can still be read."""
        super().stop()
        self._arrived.set()


class Hearing:
    """The ways from a call to those who hear it, for one call after the other.

    A recorder gets one track for all calls, and is started by the first of them.

    Args:
        sinks: Who hears; what they raise is logged, and ends their part of the call.

    Raises:
        InvalidRequest: One is no sink.
    """

    def __init__(self, *sinks: AudioSink) -> None:
        for sink in sinks:
            _check(sink)
        self._sinks = sinks
        self._recorded: list[Incoming] = []

    @asynccontextmanager
    async def call(self) -> AsyncIterator[Callable[[Frame], None] | None]:
        """Hold the ways for one call; it is None if nobody hears.

        Raises:
            MissingExtra, SettingsError: There are no speakers.
        """
        async with AsyncExitStack() as stack:
            tracks = await self._started()
            for sink in self._sinks:
                if sink == "speakers":
                    sink = await stack.enter_async_context(speakers())
                elif sink == "auto":
                    sink = await held_if_any(stack, speakers()) or sink
                if callable(sink):
                    tracks.append(Incoming())
                    beside(stack, _deliver(tracks[-1], sink))

            def put(frame: Frame) -> None:
                for track in tracks:
                    track.put(frame)

            yield put if tracks else None

    async def _started(self) -> list[Incoming]:
        recorders = [sink for sink in self._sinks if isinstance(sink, Recorder)]
        for recorder in recorders[len(self._recorded) :]:
            track = Incoming()
            recorder.addTrack(track)
            await recorder.start()
            self._recorded.append(track)
        for track in self._recorded:
            track.begin()
        return [*self._recorded]


def _check(sink: object) -> None:
    if sink in ("speakers", "auto") or callable(sink) or isinstance(sink, Recorder):
        return
    raise InvalidRequest(
        "audio_sink has to be a function of PCM, a recorder or 'speakers': for a file "
        "use MediaRecorder('answer.wav') of aiortc.contrib.media.",
        code="invalid_sink",
    )


async def _deliver(track: MediaStreamTrack, sink: PcmFunction) -> None:
    try:
        async for pcm in pcm_of(track):
            result = sink(pcm)
            if inspect.isawaitable(result):
                await result
    except Exception:
        _log.exception("the audio sink failed: it gets no more of this call")
