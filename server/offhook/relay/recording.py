"""The recording of one call: from when it may be and there is audio, to its end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from offhook.protocol.consent import started, stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from offhook.events import Event
    from offhook.protocol.consent import Consent
    from offhook.relay.calls import LiveCall
    from offhook.relay.studio import Sides, Studio

    Tell = Callable[[Event], None]

# So long an announcement waits for the recording that it is to be in.
_BEGIN_SECONDS = 1.0


class CallRecording:
    """Records one call whenever that is allowed.

    Args:
        studio: Makes the recordings.
        call: It.
        consent: What may be recorded.
        tell: Tells the caller.
    """

    def __init__(
        self, studio: Studio, call: LiveCall, consent: Consent, tell: Tell
    ) -> None:
        self._studio = studio
        self._call = call
        self._consent = consent
        self._tell = tell
        self._sides: Sides | None = None
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()  # whether it could begin or not

    def take(self, event: Event) -> None:
        """Take what the caller says of it.

        Raises:
            InvalidRequest: See `Consent`.
        """
        self._consent.take(event)
        self._call.consented(self._consent.recorded)
        self._changed.set()

    async def attach(self, sides: Sides) -> None:
        """Say where the audio is; what is heard after this is recorded, if it may be.

        A disk that hangs keeps nobody for longer than a second.
        """
        self._sides = sides
        self._changed.set()
        if self._consent.recorded:
            with suppress(TimeoutError):
                async with asyncio.timeout(_BEGIN_SECONDS):
                    await self._settled.wait()

    async def run(self) -> None:
        """Record until this is cancelled."""
        while True:
            sides = self._sides
            if sides and self._consent.recorded:
                await self._record(sides)
            else:
                await self._change()

    async def _record(self, sides: Sides) -> None:
        begun: list[str] = []
        # Who takes it back and gives it again at once means another recording.
        before = self._consent.withdrawals

        def unwanted() -> bool:
            return self._consent.withdrawals > before

        async with self._studio.recording(
            self._call,
            sides,
            unwanted=unwanted,
            discarded=partial(self._discarded, begun),
        ) as record:
            if record:
                begun.append(record.id)
                self._tell(started(record.id))
            self._settled.set()
            while self._consent.recorded and not unwanted():
                await self._change()

    def _discarded(self, begun: list[str], deleted: bool) -> None:
        for recording_id in begun:
            self._tell(stopped(recording_id, deleted=deleted))

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
