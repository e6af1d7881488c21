from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiortc import RTCSessionDescription

from offhook.errors import InvalidRequest, ServerError
from offhook.media.peer import Peer
from offhook.media.tee import LINES, Tee, sources
from tests.caller import Caller, Microphone, offer
from tests.media.calls import Ear, until
from tests.media.opus import decoded, loudness, tone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offhook.protocol.rtp import Packet

pytestmark = pytest.mark.anyio

SECOND = 50


class Page(Caller):
    """What a page does: it sends both sides, and takes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Microphone()
        self.peer.addTrack(self.model)
        for transceiver in self.peer.getTransceivers():
            transceiver.direction = "sendonly"


@asynccontextmanager
async def answered(page: Caller) -> AsyncIterator[tuple[Peer, str]]:
    async with Peer(Ear(), None, lines=LINES) as peer:
        try:
            yield peer, await peer.answer(await offer(page))
        finally:
            await page.close()


async def test_both_sides_are_heard_and_nothing_is_said() -> None:
    page = Page()
    async with answered(page) as (peer, answer):
        assert answer.count("a=recvonly") == LINES
        with pytest.raises(ServerError):
            Tee(peer.connection)
        await page.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await peer.connected()
        said: list[Packet] = []
        heard: list[Packet] = []
        async with Tee(peer.connection) as tee:
            page.microphone.say(tone(440, 4))
            page.model.say(tone(1000, 4))
            end = tee.tap_caller(lambda packet, _: said.append(packet))
            tee.tap_model(lambda packet, _: heard.append(packet))
            await until(lambda: min(len(said), len(heard)) >= SECOND)
            end()
            counts = len(said), len(heard)
            await until(lambda: len(heard) > counts[1] + 5)
            assert len(said) == counts[0]
        for packets, pitch in ((said, 440), (heard, 1000)):
            assert len({packet.ssrc for packet in packets}) == 1
            pcm = decoded([packet.payload for packet in packets])
            other = 1440 - pitch
            assert loudness(pcm, pitch) > 20 * loudness(pcm, other)


async def test_a_tap_that_fails_is_not_called_again() -> None:
    page = Page()
    async with answered(page) as (peer, answer):
        await page.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await peer.connected()
        calls: list[Packet] = []
        heard: list[Packet] = []

        def fail(packet: Packet, now: float) -> None:
            calls.append(packet)
            raise LookupError

        async with Tee(peer.connection) as tee:
            tee.tap_caller(fail)
            tee.tap_caller(lambda packet, _: heard.append(packet))
            await until(lambda: len(heard) >= 5)
        assert len(calls) == 1


async def test_one_line_is_not_both_sides() -> None:
    with pytest.raises(InvalidRequest, match="fewer than 2 audio lines"):
        async with answered(Caller()):
            pass


def test_the_sources_are_those_of_the_audio_lines() -> None:
    audio, video = "m=audio 9 X 1\r\n", "m=video 9 X 1\r\n"
    one, two = "a=ssrc:1 cname:-\r\n", "a=ssrc:2 cname:-\r\na=ssrc:3 cname:-\r\n"
    assert sources(one + video + one + audio + two + audio + one) == [2, 1]
    assert sources(audio + audio + two) == [2]
