from __future__ import annotations

import asyncio

import pytest

from offhook.media.backlog import Backlog
from offhook.protocol.rtp import Packet
from tests.media.opus import encoded, tone

pytestmark = pytest.mark.anyio

WORD, PAUSE = encoded(tone(440, 0.1)), encoded(bytes(48000))[1:]


class Ear:
    """Keeps what leaves a backlog, and when."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self.times: list[float] = []
        self.over = asyncio.Event()
        self.backlog = Backlog(self.take, self.over.set)

    def take(self, packet: Packet, now: float) -> None:
        self.packets.append(packet)
        self.times.append(now)

    def put(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.backlog.put(Packet(111, False, 7, 7, 7, payload))

    @property
    def payloads(self) -> list[bytes]:
        return [packet.payload for packet in self.packets]

    async def until_over(self) -> None:
        async with asyncio.timeout(5):
            await self.over.wait()


async def test_what_waits_goes_on_in_real_time_as_a_stream() -> None:
    ear = Ear()
    ear.put(*WORD)
    assert ear.packets == []
    ear.backlog.release()
    await ear.until_over()
    assert ear.payloads == WORD
    assert [p.sequence_number for p in ear.packets] == list(range(5))
    assert [p.timestamp for p in ear.packets] == list(range(0, 4800, 960))
    assert ear.times[-1] - ear.times[0] >= 0.07


async def test_pauses_are_shortened_so_that_it_has_an_end() -> None:
    ear = Ear()
    ear.put(*PAUSE, *WORD, *PAUSE, *WORD, *PAUSE)
    ear.backlog.release()
    ear.put(*PAUSE)
    await ear.until_over()
    assert [payload for payload in ear.payloads if payload in WORD] == WORD * 2
    # Of each pause 100 ms are left, and what a decoder makes of its begin.
    assert ear.payloads[:5] == WORD
    assert len(ear.payloads) <= 2 * (5 + 5 + 2)


async def test_nothing_but_silence_keeps_nobody_waiting() -> None:
    ear = Ear()
    ear.put(*PAUSE)
    ear.backlog.release()
    await asyncio.sleep(0)
    assert ear.over.is_set()
    assert ear.packets == []


async def test_it_can_be_held_again() -> None:
    ear = Ear()
    ear.put(*WORD)
    ear.backlog.release()
    await asyncio.sleep(0)
    ear.backlog.hold()
    await asyncio.sleep(0)
    assert len(ear.packets) == 1
    ear.backlog.release()
    await ear.until_over()
    assert ear.payloads == WORD


async def test_what_is_taken_back_does_not_leave() -> None:
    ear = Ear()
    ear.put(*WORD)
    ear.backlog.clear()
    ear.backlog.release()
    await ear.until_over()
    assert ear.packets == []


async def test_malformed_payloads_take_their_turn() -> None:
    ear = Ear()
    ear.put(*WORD, b"\xff", *WORD)
    ear.backlog.release()
    await ear.until_over()
    assert len(ear.payloads) == 11


async def test_of_more_than_a_minute_the_newest_is_kept() -> None:
    ear = Ear()
    for _ in range(600):
        ear.put(*WORD)
    ear.put(*WORD[2:], *WORD[:1])
    ear.backlog.release()
    await asyncio.sleep(0)
    ear.backlog.hold()
    assert ear.payloads == [WORD[4]]
