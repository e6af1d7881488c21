"""Two tracks as one stereo file, left and right: Ogg Opus, WAV and FLAC."""

from __future__ import annotations

import os
from contextlib import ExitStack
from fractions import Fraction
from itertools import zip_longest
from typing import IO, TYPE_CHECKING, Self, cast

import av
import numpy as np

from offhook.audio import opus
from offhook.media.codec import Decoder
from offhook.media.spool import FILE_MODE, TRACKS, Format
from offhook.protocol import ogg
from offhook.protocol.rtp import CLOCK_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from av.audio.stream import AudioStream
    from numpy.typing import NDArray

# What FFmpeg calls the container and the codec, and what it is told.
_KINDS: dict[Format, tuple[str, str, dict[str, str]]] = {
    # Speech in stereo; at the highest effort it would take twice as long.
    "opus": ("ogg", "libopus", {"b": "64k", "compression_level": "5"}),
    "wav": ("wav", "pcm_s16le", {}),
    "flac": ("flac", "flac", {}),
}
_BLOCK = CLOCK_RATE  # samples: a second
_READ = 2**16
_HEADS = 2  # pages


def master_name(form: Format) -> str:
    """What the stereo file of a format is called."""
    return f"call.{form}"


class Stereo:
    """Decodes both tracks, and encodes them together, a second at a time.

    Use as `with Stereo(...) as stereo`. The files are there when the block has ended
    well, whole or not at all.

    Args:
        folder: What has the tracks, and gets the files.
        formats: Which.
    """

    def __init__(self, folder: Path, formats: Sequence[Format]) -> None:
        self._folder = folder
        self._formats = formats
        self._outputs: list[_Output] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for form in self._formats:
                part = self._folder / f"{master_name(form)}.part"
                flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
                file = open(os.open(part, flags, FILE_MODE), "w+b")
                self._outputs.append(_Output(stack.enter_context(file), form))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        with self._stack:
            for output in self._outputs:
                output.close()
        if failed is None:
            for form in self._formats:
                name = master_name(form)
                (self._folder / f"{name}.part").replace(self._folder / name)

    def blocks(self) -> Iterator[NDArray[np.int16]]:
        """Make the files; give each second as it is, two columns of PCM at 48 kHz."""
        tracks = [_blocks(self._folder / name) for name in TRACKS]
        nothing = np.empty(0, np.int16)
        for sides in zip_longest(*tracks, fillvalue=nothing):
            length = max(map(len, sides))
            block = np.stack([np.pad(s, (0, length - len(s))) for s in sides], axis=1)
            for output in self._outputs:
                output.write(block)
            yield block


class _Output:
    def __init__(self, file: IO[bytes], form: Format) -> None:
        container, codec, options = _KINDS[form]
        self._container = av.open(file, "w", format=container)
        stream = self._container.add_stream(
            codec, rate=CLOCK_RATE, layout="stereo", options=options
        )
        self._stream = cast("AudioStream", stream)
        self._at = 0

    def write(self, block: NDArray[np.int16]) -> None:
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), "s16", "stereo")
        frame.sample_rate, frame.time_base = CLOCK_RATE, Fraction(1, CLOCK_RATE)
        frame.pts, self._at = self._at, self._at + len(block)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


def _blocks(path: Path) -> Iterator[NDArray[np.int16]]:
    """Decode a track from where a player begins."""
    waiting = bytearray()
    skip = 2 * ogg.PRE_SKIP
    for pcm in _decoded(path):
        waiting += pcm
        if skip:
            done = min(skip, len(waiting))
            del waiting[:done]
            skip -= done
        while len(waiting) >= 2 * _BLOCK:
            yield np.frombuffer(bytes(waiting[: 2 * _BLOCK]), "<i2")
            del waiting[: 2 * _BLOCK]
    yield np.frombuffer(bytes(waiting), "<i2")


def _decoded(path: Path) -> Iterator[bytes]:
    """Decode the packets; a page that a broken disk has changed is silence."""
    decoder, at = Decoder(CLOCK_RATE), 0
    for page in _pages(path):
        sizes = [opus.duration(payload) for payload in page.packets]
        if (missing := page.granule - sum(sizes) - at) > 0:
            yield bytes(2 * missing)
        for payload, size in zip(page.packets, sizes, strict=True):
            yield decoder.decode(payload)[: 2 * size].ljust(2 * size, b"\0")
        at = page.granule


def _pages(path: Path) -> Iterator[ogg.Page]:
    reader = ogg.Reader()
    with path.open("rb") as file:
        while data := file.read(_READ):
            for page in reader.feed(data):
                if page.sequence_number >= _HEADS:
                    yield page
