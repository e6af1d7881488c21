"""A short way through a WebSocket, for texts that can pass at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, runtime_checkable

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import Callable

# Under this name an ASGI scope's extensions have a `DirectCaller`.
EXTENSION = "offhook.direct"

# Some events of 40 ms; what is longer comes in several reads.
_BUFFER_BYTES = 16 * 2**10
# RFC 6455 §5.2: the last frame of a text, without extensions.
_WHOLE_TEXT = 0x81
_MASKED = 0x80
# A fragment, or what only an extension could read.
_LAST = 0x80
_CONTROL = 0x08
_RESERVED = 0x70


@runtime_checkable
class Direct(Protocol):
    """A short way through a connection, for texts that can pass without waiting.

    It wakes no task, which is most of what a text costs. Order is kept: a text goes
    the short way only where none is on its way through the long one.
    """

    def offer(self, text: str) -> bool:
        """Send a text if that can be done at once; say whether."""

    def divert(self, take: Callable[[str], bool]) -> None:
        """Offer each text that a task waits for to this first.

        It must not block or raise. What it answers with False is received as always.
        """


class DirectCaller(Direct, Protocol):
    """One from a caller to a server."""

    def has_left(self) -> bool:
        """Whether the caller has left, though its last may not have been read yet.

        One whose end is stuck behind that may be found by the next question only.
        """


class Frames:
    """Splits what is read into frames; a whole text may take the short way.

    A part of an `asyncio.BufferedProtocol` that is a WebSocket. All other frames, and
    all of a side that sends fragments, go to its `data_received`, one by one. It reads
    into a buffer of its own: what asyncio allocates for each read costs more than the
    read.

    Attributes:
        waited_for: Whether a task waits for the next text, and none is on its way.
    """

    data_received: Callable[[bytes], None]
    transport: Transport
    waited_for = False
    _take: Callable[[str], bool] | None = None
    _buffer: memoryview | None = None
    # Whether frames have begun; how much of one is still to come; a part of a header.
    _framed = False
    _missing = 0
    _rest = b""

    def divert(self, take: Callable[[str], bool]) -> None:
        """Offer each text that is waited for to this, before it is queued."""
        self._take = take

    def begin_frames(self) -> None:
        """Take all that is read from here on for frames."""
        self._framed = True

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give room for the next read."""
        if self._buffer is None:
            # A bytearray would not do: asyncio's TLS reads into slices of it.
            self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        assert self._buffer is not None
        data = bytes(self._buffer[:nbytes])
        if self._framed:
            self._split(data)
        else:
            self.data_received(data)

    def _split(self, data: bytes) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        at, end = 0, len(data)
        if self._missing:
            at = min(self._missing, end)
            self._missing -= at
            self.data_received(data[:at])
        while at < end:
            size = _size(data, at)
            if not size:
                self._rest = data[at:]
                return
            following = at + size
            if following > end:
                self._missing = following - end
                self._check(data[at])
                self.data_received(data[at:])
                return
            frame = data if size == end else data[at:following]
            if not (self.waited_for and self._take and self._passes(frame)):
                self._check(data[at])
                self.data_received(frame)
                if self.transport.is_closing():
                    return
            at = following

    def _check(self, first: int) -> None:
        if first & _RESERVED or not first & (_LAST | _CONTROL):
            self._take = None

    def _passes(self, frame: bytes) -> bool:
        if frame[0] != _WHOLE_TEXT or self._take is None:
            return False
        length = frame[1]
        masked = length & _MASKED
        length &= 0x7F
        at = 4 if length == 126 else 10 if length == 127 else 2
        payload = (
            apply_mask(frame[at + 4 :], frame[at : at + 4]) if masked else frame[at:]
        )
        try:
            return self._take(str(payload, "utf-8"))
        except UnicodeDecodeError:
            return False


def text_frame(text: str, *, masked: bool) -> bytes:
    """Make the frame of a whole text."""
    payload = text.encode()
    length = len(payload)
    bit = _MASKED if masked else 0
    if length < 126:
        head = bytes((_WHOLE_TEXT, bit | length))
    elif length < 65536:
        head = bytes((_WHOLE_TEXT, bit | 126, length >> 8, length & 0xFF))
    else:
        head = bytes((_WHOLE_TEXT, bit | 127)) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + apply_mask(payload, mask)


def _size(data: bytes, at: int) -> int:
    """Return the length of the frame that begins here, 0 if that is not there yet."""
    have = len(data) - at
    if have < 2:
        return 0
    length = data[at + 1]
    size = 6 if length & _MASKED else 2
    length &= 0x7F
    if length < 126:
        return size + length
    if length == 126:
        return size + 2 + (data[at + 2] << 8 | data[at + 3]) if have >= 4 else 0
    return size + 8 + int.from_bytes(data[at + 2 : at + 10], "big") if have >= 10 else 0
