"""Where the recordings of this process are made, and what becomes of them."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from offhook.errors import OffhookError, ServerError
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
        """Delete what was made, and what was said."""

    async def abandon(self, record: RecordingRecord, why: str) -> None:
        """Say that nothing could be made."""


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
        discarded: Callable[[bool], None] = lambda _: None,
    ) -> AsyncIterator[RecordingRecord | None]:
        """Record a call; whatever ends this, what was made is kept, or deleted.

        Gives None where it cannot begin: the operator is told, and the call goes on.

        Args:
            call: It.
            sides: Its audio.
            unwanted: Asked in the end whether it is to be deleted, with all that was
                said in the call.
            discarded: Called then, with whether nothing is left of it, yet.
        """
        record, folder = self._kept.begin(call.record, time.time())
        recorder = Recorder(
            folder,
            self._disk,
            call={"id": call.record.id, "agent": call.record.agent},
            tee=sides.tee,
            formats=self._formats(call.record.agent),
            failed=lambda why: call.mark("recording.failed", why=why),
        )
        why: str | None = "The call ended before its recording began."
        try:
            async with AsyncExitStack() as stack:
                why = await _begun(stack, recorder)
                if why is None:
                    for end in (
                        sides.said(recorder.said),
                        sides.heard(recorder.heard),
                        call.listen(lambda event: recorder.note("model", event)),
                    ):
                        stack.callback(end)
                else:
                    _log.error("call %s is not recorded: %s", call.record.id, why)
                    call.mark("recording.failed", why=why)
                yield record if why is None else None
        finally:
            if unwanted():
                self._start(self._deleting, self._discard(record, discarded))
            elif why is None:
                self._start(self._finishing, self._finish(record))
            else:
                self._start(self._deleting, self._abandon(record, why))

    async def _finish(self, record: RecordingRecord) -> None:
        await self._kept.finish(record)

    async def _discard(
        self, record: RecordingRecord, discarded: Callable[[bool], None]
    ) -> None:
        deleted = False
        try:
            await self._written()
            await self._kept.discard(record)
            deleted = True
        finally:
            discarded(deleted)

    async def _abandon(self, record: RecordingRecord, why: str) -> None:
        await self._written()
        await self._kept.abandon(record, why)

    async def _written(self) -> None:
        """Wait until the disk writes no more behind our back."""
        with suppress(ServerError):
            await self._disk.run(lambda: None)

    def _start(
        self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]
    ) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(_log_failure)


async def _begun(stack: AsyncExitStack, recorder: Recorder) -> str | None:
    """Let it begin; return why it cannot."""
    try:
        await stack.enter_async_context(recorder)
    except ServerError as error:
        return error.message
    return None


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        known = isinstance(error, OffhookError | OSError)
        said = "what is left of a recording waits: %s"
        _log.error(said, error, exc_info=None if known else error)
