"""Ogg pages with Opus in them (RFC 3533, RFC 7845), written as it comes, and read.

A page is whole or it is not there: whatever ends a process, the file is what was
written before its last page.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from offhook.audio import opus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# What an encoder for speech looks ahead, 6.5 ms: a decoder's first samples, which are
# left out, so that the rest is where it was said (RFC 7845 §4.2).
PRE_SKIP = 312

# Pattern, version, flags, granule position, serial, sequence number, CRC, segments.
_HEADER = struct.Struct("<4sBBqIIIB")
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_MOST_SEGMENTS = 255
_CRC_AT = slice(22, 26)
_VENDOR = b"offhook"
# Each byte with its bits in reverse.
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Page(NamedTuple):
    """A page that was read.

    Attributes:
        packets: Those that begin and end in it.
        granule: How many samples at 48 kHz are complete after it.
        sequence_number: Counts the pages.
        last: Whether the stream ends with it.
        begins: Where it is, in bytes.
        ends: Where the next one is.
    """

    packets: list[bytes]
    granule: int
    sequence_number: int
    last: bool
    begins: int
    ends: int


class Writer:
    """Makes the pages of one Opus stream.

    Args:
        serial: Tells the stream from others in a file.
        sequence_number: Of the next page.
        granule: How many samples are complete before it.
    """

    def __init__(
        self, serial: int, *, sequence_number: int = 0, granule: int = 0
    ) -> None:
        self.granule = granule
        self._serial = serial
        self._sequence_number = sequence_number

    def heads(self, **comments: str) -> bytes:
        """The two pages that a stream begins with.

        Args:
            comments: What is told about it, such as a title.
        """
        head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, PRE_SKIP, 48000, 0, 0)
        told = [f"{name.upper()}={value}".encode() for name, value in comments.items()]
        tags = b"OpusTags" + b"".join(
            (_text(_VENDOR), len(told).to_bytes(4, "little"), *map(_text, told))
        )
        return self._page([head], 0, _FIRST) + self._page([tags], 0, 0)

    def pages(self, packets: Sequence[bytes], *, last: bool = False) -> bytes:
        """The pages of audio packets, one where they fit.

        Args:
            packets: Shorter than 65 kB each; one that is malformed lasts no time.
            last: Whether the stream ends with them.
        """
        pages, begin, segments = [], 0, 0
        granule = self.granule
        for at, packet in enumerate(packets):
            needed = len(packet) // 255 + 1
            if segments + needed > _MOST_SEGMENTS:
                pages.append(self._page(packets[begin:at], granule, 0))
                begin, segments = at, 0
            segments += needed
            granule += opus.duration(packet)
        self.granule = granule
        if segments or last:
            flags = _LAST if last else 0
            pages.append(self._page(packets[begin:], granule, flags))
        return b"".join(pages)

    def _page(self, packets: Sequence[bytes], granule: int, flags: int) -> bytes:
        lacing = b"".join(
            b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,))
            for packet in packets
        )
        header = _HEADER.pack(
            b"OggS",
            0,
            flags,
            granule,
            self._serial,
            self._sequence_number & 0xFFFFFFFF,
            0,
            len(lacing),
        )
        self._sequence_number += 1
        page = bytearray(b"".join((header, lacing, *packets)))
        page[_CRC_AT] = _crc(page)
        return bytes(page)


class Reader:
    """Reads the pages of a file that comes in pieces, or ends within one.

    What is no whole page is passed over.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._at = 0  # where the rest begins

    def feed(self, data: bytes) -> Iterator[Page]:
        """Take the next bytes, and give the pages that are complete."""
        data = self._rest + data
        at = 0
        while (found := data.find(b"OggS", at)) >= 0:
            size = _size(data, found)
            if size is None:
                at = found
                break
            page = _parsed(data[found : found + size], self._at + found)
            if page:
                yield page
            at = found + (size if page else 4)
        else:
            at = max(at, len(data) - 3)  # a pattern may have begun
        self._rest = data[at:]
        self._at += at


def _size(data: bytes, at: int) -> int | None:
    """How long a page is; None where that is not all there."""
    if len(data) < at + _HEADER.size:
        return None
    body = at + _HEADER.size + data[at + _HEADER.size - 1]
    size = body - at + sum(data[at + _HEADER.size : body])
    return size if len(data) >= at + size else None


def _parsed(data: bytes, begins: int) -> Page | None:
    blank = bytearray(data)
    blank[_CRC_AT] = bytes(4)
    if data[_CRC_AT] != _crc(blank):
        return None
    _, _, flags, granule, _, number, _, segments = _HEADER.unpack_from(data)
    body = _HEADER.size + segments
    packets, begin, end = [], body, body
    for size in data[_HEADER.size : body]:
        end += size
        if size < 255:
            packets.append(data[begin:end])
            begin = end
    if flags & _CONTINUED:
        del packets[:1]  # we begin none that goes on in the next page
    ends = begins + len(data)
    return Page(packets, granule, number, bool(flags & _LAST), begins, ends)


def _crc(data: bytes | bytearray) -> bytes:
    """The page's checksum (RFC 3533 §6), which is zlib's with the bits in reverse."""
    crc = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return crc.to_bytes(4, "big").translate(_REVERSED)


def _text(value: bytes) -> bytes:
    return len(value).to_bytes(4, "little") + value
