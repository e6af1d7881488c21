from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from offhook.media.presence import gone
from tests.answerer import Answerer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def watching(
    silence: float, *, audio: bool = True
) -> AsyncIterator[tuple[asyncio.Task[None], Answerer]]:
    """A connection that is watched, and its other side."""
    near = RTCPeerConnection(RTCConfiguration([]))
    opened = asyncio.Event()
    if audio:
        near.addTransceiver("audio")
    near.createDataChannel("any").on("open", opened.set)
    async with Answerer() as far:
        await near.setLocalDescription(await near.createOffer())
        answer = await far.answer(near.localDescription.sdp)
        await near.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await asyncio.wait_for(opened.wait(), 10)
        watch = asyncio.create_task(gone(near, silence))
        yield watch, far
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        await near.close()


@pytest.mark.parametrize("audio", [True, False])
async def test_who_has_vanished_is_gone(
    audio: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(0.5, audio=audio) as (watch, far):
        await far.vanish()
        await asyncio.wait_for(watch, 10)
        # Others may be gone, too.
        assert "nothing has come for 0.5 s" in caplog.messages


async def test_who_sends_nothing_and_answers_is_there() -> None:
    async with watching(0.1) as (watch, far):
        far.peer.getSenders()[0].replaceTrack(None)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.shield(watch)


class Log(logging.Handler):
    """Lets a test wait for what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.put_nowait(record.getMessage())


async def test_who_comes_back_is_there(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("offhook.media.presence")
    caplog.set_level(logging.INFO, logger.name)
    log = Log()
    logger.addHandler(log)
    async with asyncio.timeout(20), watching(0.5) as (watch, far):
        with far.mute():
            assert await log.messages.get() == "nothing has come for 0.5 s"
        assert await log.messages.get() == "the connection is back"
        assert not watch.done()
    logger.removeHandler(log)
