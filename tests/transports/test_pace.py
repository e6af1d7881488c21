from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from offhook.audio import resample, ulaw_encode
from offhook.protocol.transport_events import Audio
from offhook.transports.emitter import Emitter, Listened
from offhook.transports.pace import Pace
from tests.media.opus import decoded, loudness, tone

if TYPE_CHECKING:
    from offhook.protocol.rtp import Packet

pytestmark = pytest.mark.anyio

SECOND = 50


class Call(Listened):
    """A transport that tells what it is told to, and what came of it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Emitter())
        self.said: list[Packet] = []
        self.heard: list[Packet] = []
        self._passed = asyncio.Event()
        self.pace = Pace(self._said, self._heard, **options)
        self.pace.listen(self)

    def __enter__(self) -> Call:
        self.tell("connected")
        return self

    def __exit__(self, *_: object) -> None:
        self.tell("disconnected")

    def tell(self, name: str, *about: Any) -> None:
        self._emitter.emit(name, *about)

    def answer(self, pcm: bytes, item: str = "item_1") -> None:
        self.tell("audio", Audio(pcm, "resp_1", item, 0))

    async def until(self, packets: int) -> None:
        async with asyncio.timeout(10):
            while len(self.heard) < packets:
                self._passed.clear()
                await self._passed.wait()

    def _said(self, packet: Packet, _: float) -> None:
        self.said.append(packet)

    def _heard(self, packet: Packet, _: float) -> None:
        self.heard.append(packet)
        self._passed.set()


def seconds(packets: list[Packet], hertz: float) -> float:
    """How long a tone is in it."""
    payloads = [packet.payload for packet in packets]
    pcm = decoded(payloads)
    pieces = [pcm[at : at + 480] for at in range(0, len(pcm) - 479, 480)]
    return sum(loudness(piece, hertz) > 0.1 for piece in pieces) * 0.02


async def test_what_comes_at_once_is_said_and_heard_at_the_pace_of_speech() -> None:
    with Call() as call:
        call.pace.say(tone(440, 0.4))
        call.answer(tone(1000, 0.6))
        await call.until(10)
        assert len(call.said) in (10, 11)
        await call.until(SECOND)
        assert seconds(call.said, 440) == pytest.approx(0.4, abs=0.05)
        assert seconds(call.heard, 1000) == pytest.approx(0.6, abs=0.05)


async def test_chunks_that_are_late_make_no_gap_and_the_last_one_is_said() -> None:
    with Call() as call:
        pcm = tone(440, 0.4)
        for at in range(0, len(pcm), 960):
            call.pace.say(pcm[at : at + 960])
            await call.until(len(call.heard) + 1)
        await call.until(len(call.heard) + 10)
        assert seconds(call.said, 440) == pytest.approx(0.4, abs=0.05)


async def test_an_interruption_leaves_out_what_was_not_heard() -> None:
    with Call() as call:
        call.answer(tone(1000, 2))
        await call.until(20)
        call.tell("audio_interrupted", None)
        await call.until(40)
        assert seconds(call.heard, 1000) == pytest.approx(0.4, abs=0.06)


async def test_what_was_heard_is_what_the_player_reported() -> None:
    with Call(reported=True) as call:
        call.answer(tone(1000, 2))
        await call.until(10)
        assert seconds(call.heard, 1000) == 0
        call.pace.played("item_1", 300)
        call.pace.played("item_1", 200)  # nobody hears backwards
        call.pace.played("item_1", 400)
        call.tell("audio_interrupted", None)
        await call.until(60)
        assert seconds(call.heard, 1000) == pytest.approx(0.4, abs=0.05)


async def test_audio_of_a_telephone_is_heard_too() -> None:
    with Call() as call:
        format_ = {"format": {"type": "audio/pcmu"}}
        session = {"audio": {"input": format_, "output": format_}}
        call.tell("*", {"type": "session.updated", "session": session})
        call.pace.say(ulaw_encode(resample(tone(440, 0.4), 24000, 8000)))
        call.answer(ulaw_encode(resample(tone(1000, 0.6), 24000, 8000)))
        await call.until(SECOND)
        assert seconds(call.said, 440) == pytest.approx(0.4, abs=0.08)
        assert seconds(call.heard, 1000) == pytest.approx(0.6, abs=0.08)


async def test_half_a_sample_and_too_much_are_left_out() -> None:
    with Call() as call:
        call.pace.say(b"\0\0\0")
        call.pace.say(bytes(2 * 24000 * 361))
        call.pace.say(tone(440, 0.4))
        await call.until(30)
        assert seconds(call.said, 440) == pytest.approx(0.4, abs=0.05)


async def test_after_the_end_nothing_is_said() -> None:
    call = Call()
    with call:
        await call.until(3)
        call.pace.say(tone(440, 1))
    count = len(call.heard)
    call.pace.say(tone(440, 1))
    with call:
        await call.until(count + 10)
        assert seconds(call.said, 440) == 0
