from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from offhook.wire.frames import Frames, text_frame

if TYPE_CHECKING:
    from asyncio import Transport


class Open:
    """The one thing that is asked of a transport."""

    def is_closing(self) -> bool:
        return False


class Reader(Frames):
    """Notes what takes which way."""

    def __init__(self) -> None:
        transport: Transport = Open()  # type: ignore[assignment]  # see Open
        self.transport = transport
        self.long: list[bytes] = []
        self.short: list[str] = []
        self.begin_frames()
        self.divert(self.pass_short)
        self.waited_for = True

    def pass_short(self, text: str) -> bool:
        self.short.append(text)
        return "!" not in text

    def data_received(self, data: bytes) -> None:
        self.long.append(data)

    def read(self, data: bytes) -> None:
        while data:
            room = self.get_buffer(len(data))
            taken = min(len(room), len(data))
            room[:taken] = data[:taken]
            self.buffer_updated(taken)
            data = data[taken:]


TEXTS = ["", "a", "ä" * 62, "x" * 125, "x" * 126, "x" * 65535, "y" * 65536]


@pytest.mark.parametrize("masked", [True, False])
def test_a_text_is_framed_as_websockets_frames_it(masked: bool) -> None:
    # The receiver of what is masked is a server.
    peer = Protocol(Side.SERVER if masked else Side.CLIENT, max_size=None)
    next(peer.parser)
    for text in TEXTS:
        peer.receive_data(text_frame(text, masked=masked))
    frames = [frame for frame in peer.events_received() if isinstance(frame, Frame)]
    assert [bytes(frame.data).decode() for frame in frames] == TEXTS
    assert {(frame.opcode, frame.fin) for frame in frames} == {(Opcode.TEXT, True)}


def test_each_mask_is_another() -> None:
    assert text_frame("same text", masked=True) != text_frame("same text", masked=True)


@pytest.mark.parametrize("masked", [True, False])
def test_whole_texts_take_the_short_way(masked: bool) -> None:
    reader = Reader()
    short = [text for text in TEXTS if len(text) < 10_000]
    for text in short:
        reader.read(text_frame(text, masked=masked))
    reader.read(b"".join(text_frame(text, masked=masked) for text in short[:4]))
    assert reader.short == short + short[:4]
    assert reader.long == []


def test_what_nobody_waits_for_takes_the_long_way() -> None:
    reader = Reader()
    reader.waited_for = False
    reader.read(text_frame("a", masked=True) * 2)
    assert reader.short == []
    assert len(reader.long) == 2


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


def test_what_is_no_whole_text_takes_the_long_way() -> None:
    reader = Reader()
    ping, data = frame(Opcode.PING), frame(Opcode.BINARY, b"{}")
    broken = frame(Opcode.TEXT, b"\xff")
    refused = text_frame("no!", masked=True)
    reader.read(ping + data + broken + refused)
    assert reader.long == [ping, data, broken, refused]
    reader.read(text_frame("yes", masked=True))
    assert reader.short == ["no!", "yes"]


def test_who_sends_fragments_goes_the_long_way_for_good() -> None:
    reader = Reader()
    begin = frame(Opcode.TEXT, b"a", fin=False)
    inside = text_frame("not allowed here", masked=True)
    end = frame(Opcode.CONT, b"b")
    after = text_frame("c", masked=True)
    for part in (begin, inside, end, after):
        reader.read(part)
    assert reader.long == [begin, inside, end, after]
    assert reader.short == []


@given(
    st.lists(st.tuples(st.text(max_size=300), st.booleans()), max_size=6),
    st.data(),
)
def test_nothing_is_lost_however_it_is_cut(
    texts: list[tuple[str, bool]], data: st.DataObject
) -> None:
    reader = Reader()
    order: list[str] = []

    def take(text: str) -> bool:
        order.append(text)
        return True

    reader.divert(take)
    peer = Protocol(Side.SERVER, max_size=None)
    next(peer.parser)
    stream = b"".join(
        frame(Opcode.BINARY if binary else Opcode.TEXT, text.encode())
        for text, binary in texts
    )
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        reader.read(stream[:size])
        stream = stream[size:]
        for part in reader.long:
            peer.receive_data(part)
        reader.long.clear()
        for event in peer.events_received():
            assert isinstance(event, Frame)
            order.append(bytes(event.data).decode())
    assert sorted(order) == sorted(text for text, _ in texts)
