"""The recording of a direct call: its page sends both sides here, too.

The call itself passes elsewhere and notices nothing of it: not its delay, not its end.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from offhook.errors import InvalidRequest, OffhookError
from offhook.events import new_id, serialise
from offhook.http.race import after, first
from offhook.media.tee import LINES, Tee
from offhook.protocol.consent import WITHDRAW, own_event
from offhook.relay.recording import CallRecording
from offhook.relay.studio import Sides
from offhook.tasks import beside

if TYPE_CHECKING:
    from offhook.events import Event
    from offhook.media.factory import PeerFactory
    from offhook.protocol.consent import Consent
    from offhook.relay.calls import LiveCall
    from offhook.relay.studio import Studio

_log = logging.getLogger(__name__)


class TeeCall:
    """A page's second connection, which is only recorded.

    Args:
        call: The direct call that it belongs to.
        consent: What may be recorded.
        studio: Makes the recording.
        peers: Makes the peer.
        seconds: How long it may last.

    Raises:
        ServerError: Too many callers are about to connect.
    """

    def __init__(
        self,
        call: LiveCall,
        consent: Consent,
        studio: Studio,
        peers: PeerFactory,
        *,
        seconds: float,
    ) -> None:
        self._call = call
        self._consent = consent
        self._seconds = seconds
        self._refused = asyncio.Event()
        self._open = False
        self._untold: list[Event] = []
        self._recording = CallRecording(studio, call, consent, self._tell)
        self._peer = peers.make(self, None, lines=LINES)

    async def answer(self, offer: str) -> str:
        """Return the SDP answer.

        Raises:
            InvalidRequest: `invalid_offer`; the connection is closed then.
        """
        return await self._peer.answer(offer)

    async def run(self) -> None:
        """Record until the call is over.

        Where the page has left before, silence is: until the end of the call its caller
        may take the consent back, and then nothing of it is kept.
        """
        self._call.withdraw = self._withdraw
        async with AsyncExitStack() as stack:
            beside(stack, self._recording.run())
            end = await first(
                page=self._hold(),
                over=self._call.over.wait(),
                refused=self._refused.wait(),
                late=after(self._seconds),
            )
            if end == "page":
                await first(over=self._call.over.wait(), refused=self._refused.wait())
        if self._refused.is_set():
            await self._call.hang_up("consent")

    def opened(self) -> None:
        """The channel can carry events now."""
        self._open = True
        for event in self._untold:
            self._send(event)
        self._untold.clear()

    def message(self, text: str | bytes) -> None:
        """Take what the caller says to being recorded."""
        event = own_event(text)
        if event is None:
            return
        try:
            self._recording.take(event)
        except InvalidRequest as error:
            said = {**error.body()["error"], "event_id": event.get("event_id")}
            self._tell({"type": "error", "event_id": new_id("event"), "error": said})
        if self._consent.over:
            self._refused.set()

    def _withdraw(self) -> None:
        self._recording.take({"type": WITHDRAW})
        if self._consent.over:
            self._refused.set()

    def audio(self, pcm: bytes) -> None:
        """Nothing is decoded here."""

    async def _hold(self) -> None:
        """Return when the page has left."""
        async with self._peer:
            await first(page=self._peer.run(), heard=self._hear())

    async def _hear(self) -> None:
        """Let the recording have the audio, once the page is there."""
        await self._peer.connected()
        try:
            async with Tee(self._peer.connection) as tee:
                await self._recording.attach(
                    Sides(tee.tap_caller, tee.tap_model, tee=True)
                )
                await after(None)
        except OffhookError as error:
            _log.info("call %s is not recorded: %s", self._call.record.id, error)

    def _tell(self, event: Event) -> None:
        self._call.take(event)  # what else is told of the call goes its own way
        self._send(event)

    def _send(self, event: Event) -> None:
        if self._open:
            self._peer.send(serialise(event))
        else:
            # Only what the recording begins with: nobody has been heard yet.
            self._untold.append(event)
