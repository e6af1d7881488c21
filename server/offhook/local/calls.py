"""The calls of the local endpoint that came in over WebRTC."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from offhook.errors import NotFound
from offhook.events import Event, new_id, serialise
from offhook.http.race import after, first, until
from offhook.local.connection import Connection
from offhook.protocol.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from offhook.local.faults import Fault, Sink
    from offhook.media.factory import PeerFactory
    from offhook.protocol.session_config import Session
    from offhook.speech.engines import Engines

_log = logging.getLogger(__name__)


class Call:
    """One call: a peer in front of a connection, and sidebands beside it.

    Attributes:
        call_id: `rtc_…`.
        ended: Set when the call is over.
        farewell: The code and the reason with which its sidebands are closed then.
    """

    def __init__(
        self, session: Session, engines: Engines, fault: Fault, peers: PeerFactory
    ) -> None:
        self.call_id = new_id("rtc")
        self.ended = asyncio.Event()
        self.farewell = (1000, "The call has ended.")
        self._expires_at = session["expires_at"]
        self._fault = fault
        self._sidebands: list[Sink] = []
        self._peer = peers.make(self, self._pull)
        self._tell_caller = fault.sieve(lambda e: self._peer.send(serialise(e)))
        self._connection = Connection(
            Endpoint(session, playout=True), engines, self._send
        )

    async def answer(self, offer: str) -> str:
        """Return the SDP answer.

        Raises:
            InvalidRequest: `invalid_offer`; the call is closed then.
        """
        return await self._peer.answer(offer)

    async def run(self) -> None:
        """Hold the call until somebody hangs up."""
        began = time.monotonic()
        # The peer leaves first: it must not report to a connection that has ended.
        try:
            async with self._connection, self._peer:
                await self._hold()
        finally:
            self.ended.set()
        _log.info("call %s ended after %.0f s", self.call_id, time.monotonic() - began)

    async def _hold(self) -> None:
        end = await first(
            left=self._peer.run(),
            expired=until(self._expires_at),
            dropped=self._later(self._fault.drop),
            halved=self._later(self._fault.half_close, self._peer.close_channel),
            muted=self._later(self._fault.drop_media, self._peer.mute),
        )
        if end == "expired":
            self.farewell = (1001, self._connection.expire())
            await self._peer.drain()
        elif end == "dropped":
            await self._peer.vanish()

    async def _later(
        self, seconds: float | None, act: Callable[[], None] | None = None
    ) -> None:
        """Return so long after the caller has connected; or act then, and stay."""
        await self._peer.connected()
        await after(seconds)
        if act:
            act()
            await after(None)

    async def hang_up(self) -> None:
        """End the call; `run` returns."""
        await self._peer.close()

    def opened(self) -> None:
        """Greet the caller on its data channel."""
        self._connection.open()

    def message(self, text: str | bytes, reply: Sink | None = None) -> None:
        """Take an event, from the data channel or from a sideband with its `reply`."""
        self._connection.receive(text, reply or self._tell_caller)

    @contextlib.contextmanager
    def attached(self, sideband: Sink) -> Iterator[None]:
        """Let a sideband see every event of the call from now on."""
        self._sidebands.append(sideband)
        try:
            yield
        finally:
            self._sidebands.remove(sideband)

    async def room(self) -> None:
        """Return when the ear has caught up."""
        await self._connection.room()

    def audio(self, pcm: bytes) -> None:
        """Take the caller's voice."""
        self._connection.hear(pcm)

    def _pull(self, ms: int) -> bytes:
        return self._connection.pull(ms)

    def _send(self, event: Event) -> None:
        for tell in (self._tell_caller, *self._sidebands):
            tell(event)


class Calls:
    """All live calls, each in a task of one group.

    Use as an async context manager; leaving hangs up on everybody.

    Args:
        peers: Makes the callers' peers.
    """

    def __init__(self, peers: PeerFactory) -> None:
        self._peers = peers
        self._live: dict[str, Call] = {}
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Calls:
        await self._peers.__aenter__()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.gather(*(call.hang_up() for call in self._live.values()))
        await self._tasks.__aexit__(None, None, None)
        await self._peers.__aexit__(*error)

    async def answer(
        self, offer: str, session: Session, engines: Engines, fault: Fault
    ) -> tuple[str, str]:
        """Start a call and return its id and the SDP answer.

        Raises:
            InvalidRequest: `invalid_offer`.
            ServerError: `server_busy`.
        """
        call = Call(session, engines, fault, self._peers)
        sdp = await call.answer(offer)
        self._live[call.call_id] = call
        self._tasks.create_task(self._run(call))
        return call.call_id, sdp

    async def hang_up(self, call_id: str) -> None:
        """End a call.

        Raises:
            NotFound: There is none, or not any more.
        """
        call = self.find(call_id)
        del self._live[call_id]
        await call.hang_up()

    def find(self, call_id: str) -> Call:
        """Return a live call.

        Raises:
            NotFound: There is none, or not any more.
        """
        try:
            return self._live[call_id]
        except KeyError:
            raise NotFound(
                "No session found for the provided call_id",
                code="call_id_not_found",
                param="",
            ) from None

    async def _run(self, call: Call) -> None:
        _log.info("call %s began", call.call_id)
        try:
            await call.run()
        except Exception:
            # One call's failure must not end the others in the group.
            _log.exception("call %s failed", call.call_id)
        finally:
            with contextlib.suppress(KeyError):
                del self._live[call.call_id]
