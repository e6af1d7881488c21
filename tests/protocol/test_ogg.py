from __future__ import annotations

from io import BytesIO

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.audio import opus
from offhook.protocol import ogg
from tests.media.opus import encoded, tone

FULL = b"\xf8"  # 20 ms
packets = st.lists(st.binary(max_size=1200).map(lambda data: FULL + data), max_size=40)


def written(*pages: list[bytes]) -> bytes:
    """A whole stream of these, at most a page each."""
    writer = ogg.Writer(7)
    *some, last = pages
    data = writer.heads(title="caller") + b"".join(map(writer.pages, some))
    return data + writer.pages(last, last=True)


def read(data: bytes, piece: int = 2**20) -> list[ogg.Page]:
    reader = ogg.Reader()
    pieces = (data[at : at + piece] for at in range(0, len(data), piece))
    return [page for part in pieces for page in reader.feed(part)]


@given(st.lists(packets, min_size=1, max_size=4), st.integers(1, 3000))
def test_what_is_written_is_read(pages: list[list[bytes]], piece: int) -> None:
    data = written(*pages)
    found = read(data, piece)
    assert [p for page in found[2:] for p in page.packets] == [
        payload for page in pages for payload in page
    ]
    assert [page.sequence_number for page in found] == list(range(len(found)))
    assert [page.last for page in found] == [False] * (len(found) - 1) + [True]
    assert found[-1].granule == 960 * sum(map(len, pages))
    assert [page.begins for page in found[1:]] == [page.ends for page in found[:-1]]
    assert found[-1].ends == len(data)


def test_what_is_more_than_a_page_holds_goes_to_the_next() -> None:
    pages = read(written([FULL + bytes(600)] * 200))[2:]
    assert [len(page.packets) for page in pages] == [85, 85, 30]
    assert [page.granule for page in pages] == [85 * 960, 170 * 960, 200 * 960]


def test_ffmpeg_plays_it() -> None:
    payloads = encoded(tone(300, 3))
    data = written(payloads[:25], payloads[25:])
    with av.open(BytesIO(data), "r") as file:
        assert file.streams.audio[0].metadata == {"TITLE": "caller"}
        samples = sum(frame.samples for frame in file.decode(audio=0))
    assert samples == 3 * 48000 - ogg.PRE_SKIP


def test_what_ffmpeg_writes_is_read() -> None:
    file = BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=48000)
        frame.planes[0].update(bytes(96000))
        frame.sample_rate = 48000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    pages = read(file.getvalue())
    payloads = [p for page in pages[2:] for p in page.packets]
    assert sum(map(opus.duration, payloads)) >= 48000
    assert pages[-1].last
    assert pages[-1].ends == len(file.getvalue())


@given(packets, st.data())
def test_a_torn_file_is_read_up_to_its_last_page(
    payloads: list[bytes], given: st.DataObject
) -> None:
    data = written(payloads, payloads, payloads)
    whole = read(data)
    end = given.draw(st.integers(0, len(data)))
    assert read(data[:end]) == [page for page in whole if page.ends <= end]


@pytest.mark.parametrize("at", [0, 4, 22, 27, 40, 600])
def test_a_page_that_was_changed_is_passed_over(at: int) -> None:
    data = bytearray(written([FULL + bytes(300)] * 3, [FULL + b"x"] * 3))
    whole = read(bytes(data))
    data[whole[2].begins + at] ^= 1
    assert read(bytes(data)) == [*whole[:2], *whole[3:]]


@given(st.binary(max_size=300))
def test_what_is_no_ogg_is_passed_over(data: bytes) -> None:
    stream = written([FULL + b"OggS" + b"x" * 50])
    found = read(data + stream)
    assert [page.begins - len(data) for page in found] in (
        [page.begins for page in read(stream)],
        # What was there may have looked like the beginning of a page.
        [page.begins for page in read(stream)][1:],
        [],
    )


def test_packets_that_began_in_another_page_are_not_taken() -> None:
    # Another program may write a packet over two pages; the pieces are no packets.
    [page] = read(written([FULL + bytes(40), FULL]))[2:]
    data = bytearray(written([FULL + bytes(40), FULL])[page.begins :])
    data[5] |= 1
    data[22:26] = bytes(4)
    data[22:26] = slow_crc(bytes(data)).to_bytes(4, "little")
    assert [page.packets for page in read(bytes(data))] == [[FULL]]


@given(st.binary(max_size=200))
def test_the_checksum_is_that_of_the_specification(payload: bytes) -> None:
    [page] = read(written([FULL + payload]))[2:]
    data = bytearray(written([FULL + payload])[page.begins : page.ends])
    crc = int.from_bytes(data[22:26], "little")
    data[22:26] = bytes(4)
    assert crc == slow_crc(bytes(data))


def slow_crc(data: bytes) -> int:
    """RFC 3533 §6, bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x104C11DB7 if crc & 0x80000000 else 0)
    return crc
