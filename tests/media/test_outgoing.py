from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from offhook.errors import ServerError
from offhook.media.outgoing import Outgoing
from tests.media.test_tracks import recorded, tone

if TYPE_CHECKING:
    from av import AudioFrame

pytestmark = pytest.mark.anyio

FRAME = 960  # 20 ms at 24 kHz


class Player(MediaStreamTrack):
    """Gives at once what it has, then waits for more."""

    kind = "audio"

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.left = frames
        self.more = asyncio.Event()
        self.failure: Exception | None = None

    async def recv(self) -> AudioFrame:
        while not self.left:
            if self.failure:
                raise self.failure
            self.more.clear()
            await self.more.wait()
        self.left -= 1
        return recorded(tone(440, 0.02), 24000, "mono")


async def turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_audio_flows_once_there_is_enough_and_again_after_a_gap() -> None:
    voice, player = Outgoing(), Player(1)
    reading = asyncio.create_task(voice.read(player))
    await turns()
    assert voice.pull(20) == b""
    player.left = 1
    player.more.set()
    await turns()
    assert [len(voice.pull(20)) for _ in range(3)] == [FRAME, FRAME, 0]
    player.left = 1
    player.more.set()
    await turns()
    assert voice.pull(20) == b""
    reading.cancel()


async def test_a_track_that_keeps_no_time_is_read_as_it_is_sent() -> None:
    voice, player = Outgoing(), Player(1000)
    reading = asyncio.create_task(voice.read(player))
    await turns()
    assert 1000 - player.left == 11
    for taken in range(1, 20):
        assert len(voice.pull(20)) == FRAME
        await turns()
        assert 1000 - player.left == 11 + taken
    reading.cancel()


async def test_the_end_of_a_track_is_sent_to_the_last_and_silence_follows() -> None:
    voice, player = Outgoing(), Player(1)
    player.failure = MediaStreamError()
    await voice.read(player)
    assert [len(voice.pull(20)) for _ in range(3)] == [FRAME, 0, 0]
    assert player.readyState == "live"


async def test_a_track_that_fails_is_told_and_silent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    voice, player = Outgoing(), Player(0)
    player.failure = OSError("the file is gone")
    await voice.read(player)
    assert voice.pull(20) == b""
    assert "silence is sent instead" in caplog.text


async def test_who_is_muted_is_silent_and_misses_nothing_later() -> None:
    voice, player = Outgoing(), Player(1000)
    assert voice.muted is False
    voice.mute(True)
    reading = asyncio.create_task(voice.read(player))
    for _ in range(10):
        await turns()
        assert voice.pull(20) == b""
    assert 1000 - player.left > 11
    voice.mute(False)
    assert len(voice.pull(20)) == FRAME
    reading.cancel()


async def test_a_new_call_begins_with_what_the_track_gives_then() -> None:
    voice, player = Outgoing(), Player(5)
    for _ in range(2):
        reading = asyncio.create_task(voice.read(player))
        await turns()
        reading.cancel()
        await asyncio.wait([reading])
    assert voice.pull(20) == b""


def test_what_is_said_goes_first_and_tells_when_it_has_gone() -> None:
    outgoing, order = Outgoing(), list[str]()
    outgoing.say(b"\1\0" * FRAME, lambda: order.append("first"))
    outgoing.say(b"\2\0" * 240, lambda: order.append("second"))
    assert outgoing.pull(20) == b"\1\0" * 480
    assert order == []
    assert outgoing.pull(20) == b"\1\0" * 480
    assert outgoing.pull(20) == b"\2\0" * 240
    assert outgoing.pull(20) == b""
    assert order == ["first", "second"]


def test_who_is_muted_says_nothing_and_is_not_heard_later() -> None:
    outgoing = Outgoing()
    outgoing.say(b"\1\0" * FRAME)
    outgoing.mute(True)
    assert outgoing.pull(20) == b""
    outgoing.mute(False)
    assert outgoing.pull(20) == b"\1\0" * 480
    outgoing.say(b"\2\0" * FRAME)
    outgoing.forget()
    assert outgoing.pull(20) == b""


def test_too_much_to_say_is_refused() -> None:
    outgoing = Outgoing()
    minute = bytes(48_000 * 60)
    with pytest.raises(ServerError, match="pace of speech"):
        for _ in range(7):
            outgoing.say(minute)
    outgoing.forget()
    outgoing.say(minute)
