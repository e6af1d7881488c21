"""Where the recordings of this process are made, and what becomes of them."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from offhook.errors import ServerError
from offhook.media.disk import Disk
from offhook.media.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from pathlib import Path
    from typing import Any

    from offhook.archive.records import CallRecord, RecordingRecord
    from offhook.media.path import Tap
    from offhook.media.spool import Format
    from offhook.relay.calls import LiveCall

    # Lets a tap hear, until what is returned is called.
    Tapped = Callable[[Tap], Callable[[], None]]

_log = logging.getLogger(__name__)


class Sides(NamedTuple):
    """Where the two sides of a call are to be heard.

    Attributes:
        said: Taps what the caller says.
        heard: Taps what the caller hears.
        tee: Whether both come from a page, the second when it has been heard.
    """

    said: Tapped
    heard: Tapped
    tee: bool = False


class Kept(Protocol):
    """What becomes of recordings: `Recordings`."""

    def begin(self, call: CallRecord, now: float) -> tuple[RecordingRecord, Path]:
        """Give a new one's record, and the folder to make it in."""

    async def finish(self, record: RecordingRecord) -> RecordingRecord:
        """Master and store what was made."""

    async def discard(self, record: RecordingRecord) -> None:
        """Delete what was made."""


class Studio:
    """Makes recordings.

    Use as `async with Studio(...) as studio`, around the calls. Leaving waits for what
    is to be deleted; what is to be mastered yet is finished after the next start.

    Args:
        kept: What becomes of them.
        formats: Gives what is made of them beside Ogg Opus, for the agent of this name.
    """

    def __init__(
        self, kept: Kept, formats: Callable[[str], Sequence[Format]] = lambda _: ()
    ) -> None:
        self._kept = kept
        self._formats = formats
        self._disk = Disk()
        self._stack = AsyncExitStack()
        # Mastering takes a whole core: one at a time.
        self._turn = asyncio.Lock()
        self._finishing: set[asyncio.Task[None]] = set()
        self._deleting: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._disk)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._finishing:
            task.cancel()
        if tasks := self._finishing | self._deleting:
            await asyncio.wait(tasks)
        await self._stack.aclose()

    @asynccontextmanager
    async def recording(
        self,
        call: LiveCall,
        sides: Sides,
        *,
        unwanted: Callable[[], bool] = lambda: False,
        discarded: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[RecordingRecord]:
        """Record a call; whatever ends this, what was made is kept, or deleted.

        Args:
            call: It.
            sides: Its audio.
            unwanted: Asked in the end whether it is to be deleted.
            discarded: Called when nothing is left of it, then.

        Raises:
            ServerError: The recording cannot begin.
        """
        record, folder = self._kept.begin(call.record, time.time())
        begun = False
        recorder = Recorder(
            folder,
            self._disk,
            call={"id": call.record.id, "agent": call.record.agent},
            tee=sides.tee,
            formats=self._formats(call.record.agent),
            failed=lambda why: call.mark("recording.failed", why=why),
        )
        try:
            async with recorder:
                begun = True
                ends = (
                    sides.said(recorder.said),
                    sides.heard(recorder.heard),
                    call.listen(lambda event: recorder.note("model", event)),
                )
                try:
                    yield record
                finally:
                    for end in ends:
                        end()
        finally:
            if begun and not unwanted():
                self._start(self._finishing, self._finish(record))
            else:
                self._start(self._deleting, self._discard(record, discarded))

    async def _finish(self, record: RecordingRecord) -> None:
        async with self._turn:
            await self._kept.finish(record)

    async def _discard(
        self, record: RecordingRecord, discarded: Callable[[], None]
    ) -> None:
        with suppress(ServerError):
            await self._disk.run(lambda: None)  # it writes no more behind our back
        await self._kept.discard(record)
        discarded()

    def _start(
        self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]
    ) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(_log_failure)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.error("a recording waits in the spool", exc_info=error)
