"""Records a client's own calls: what it says and hears, and what happens."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from offhook.errors import InvalidRequest, MissingExtra

try:
    from offhook.media.disk import Disk
    from offhook.media.mastering import master
    from offhook.media.recorder import Recorder
    from offhook.transports.pace import Pace
except ModuleNotFoundError as error:
    raise MissingExtra("media", str(error.name)) from None

if TYPE_CHECKING:
    import os

    from offhook.events import Event
    from offhook.protocol.rtp import Packet
    from offhook.transports.emitter import Listened

_log = logging.getLogger(__name__)

# What an application hears of the connection, and a transcript should have, too.
_TOLD = ("reconnecting", "reconnected", "audio_interrupted")


class Recording:
    """The recordings of one transport: a folder for each of its calls.

    A call is recorded from before it connects to its end, reconnections included.

    Args:
        parent: Is made, and in it the folders.
        in_events: Whether the audio goes in events, and does not come as packets.
        reported: Whether what is received is heard when `played` says so.

    Attributes:
        folder: Of the present or last call.

    Raises:
        MissingExtra: On import, without the extra `media`.
        InvalidRequest: The parent is no path.
    """

    def __init__(
        self,
        parent: str | os.PathLike[str],
        *,
        in_events: bool = False,
        reported: bool = False,
    ) -> None:
        try:
            self._parent = Path(parent)
        except TypeError:
            raise InvalidRequest(
                "record has to be the path of a folder.",
                code="invalid_type",
                param="record",
            ) from None
        self.folder: Path | None = None
        self._pace = (
            Pace(self.said, self.heard, reported=reported) if in_events else None
        )
        self._recorder: Recorder | None = None
        self._stack = AsyncExitStack()
        self._ending: asyncio.Task[None] | None = None

    def listen(self, transport: Listened) -> None:
        """Note what a transport tells, and end with its connection."""
        if self._pace:
            self._pace.listen(transport)
        transport.on("*", self._take)
        for name in _TOLD:
            transport.on(name, lambda *_, name=name: self._mark(name))
        transport.on("disconnected", self._stop)

    async def begin(self) -> None:
        """Record a call from now on.

        Raises:
            ServerError: The folder cannot be made.
        """
        await self.end()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        # Two calls of one second are two folders.
        folder = self._parent / f"{stamp}-{secrets.token_hex(4)}"
        async with AsyncExitStack() as stack:
            disk = await stack.enter_async_context(Disk())
            recorder = await stack.enter_async_context(Recorder(folder, disk))
            self._stack = stack.pop_all()
        self.folder, self._recorder = folder, recorder

    async def end(self) -> None:
        """Record no more; when this returns, the files are whole."""
        self._stop()
        if self._ending:
            # Whoever is cancelled here: what was said is kept.
            await asyncio.shield(self._ending)
            self._ending = None

    async def discard(self) -> None:
        """Likewise, and leave nothing of this call."""
        await self.end()
        if self.folder:
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)
            self.folder = None

    def say(self, audio: bytes) -> None:
        """Take what is sent in events, in the session's format."""
        if self._pace:
            self._pace.say(audio)

    def played(self, item_id: str, ms: float) -> None:
        """Take how much of an item has been heard."""
        if self._pace:
            self._pace.played(item_id, ms)

    def said(self, packet: Packet, now: float) -> None:
        """Take a packet of what is said, if a call is recorded."""
        if self._recorder:
            self._recorder.said(packet, now)

    def heard(self, packet: Packet, now: float) -> None:
        """Take a packet of what is heard, likewise."""
        if self._recorder:
            self._recorder.heard(packet, now)

    def _take(self, event: Event) -> None:
        if self._recorder:
            self._recorder.note("model", event)

    def _mark(self, name: str) -> None:
        if self._recorder:
            self._recorder.note("server", {"type": f"offhook.{name}"})

    def _stop(self) -> None:
        if self._recorder:
            self._recorder = None
            self._ending = asyncio.create_task(self._finish())

    async def _finish(self) -> None:
        try:
            await self._stack.aclose()
            if self.folder:
                await master(self.folder)
        except Exception:
            _log.exception("the recording in %s is not whole", self.folder)
