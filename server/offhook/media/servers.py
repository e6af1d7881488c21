"""Which STUN and TURN servers answer: waiting for a dead one delays every call."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Self

from aioice import stun, turn

if TYPE_CHECKING:
    from offhook.media.network import IceServer, Network

_log = logging.getLogger(__name__)

_CHECK_SECONDS = 30.0
# A server that answers, answers a call in this time. aioice would wait for five.
ANSWER_SECONDS = 1.0


class IceServers:
    """The servers of a network, tried out now and then so that no call has to wait.

    Use as an async context manager; outside of it nobody tries them, and all but those
    that fail are used.

    Args:
        network: Names them.
        interval: Seconds between two tries of one.
    """

    def __init__(self, network: Network, interval: float = _CHECK_SECONDS) -> None:
        self._network = network
        self._interval = interval
        self._answers: dict[IceServer, bool] = {}
        self._doubts = {server: asyncio.Event() for server in network.ice_servers}
        self._tried = {server: asyncio.Event() for server in network.ice_servers}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        for server in self._doubts:
            self._tasks.append(asyncio.create_task(self._watch(server)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()
        self._answers.clear()

    async def usable(self) -> list[IceServer]:
        """Return the first STUN and the first TURN server that answer.

        It waits only for the first tries, which end a second after the start.
        """
        if self._tasks:
            await asyncio.gather(*(tried.wait() for tried in self._tried.values()))
        chosen: dict[bool, IceServer] = {}
        for server in self._network.ice_servers:
            if self._answers.get(server, not self._tasks):
                chosen.setdefault(server.scheme == "stun", server)
        return list(chosen.values())

    def doubt(self, server: IceServer) -> None:
        """Use a server that failed a call no more until it has answered again."""
        self._note(server, "it failed a call")
        self._doubts[server].set()

    async def _watch(self, server: IceServer) -> None:
        while True:
            self._doubts[server].clear()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._try(server)
            except Exception as error:
                self._note(server, str(error) or type(error).__name__)
            else:
                self._note(server)
            self._tried[server].set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._doubts[server].wait()

    async def _try(self, server: IceServer) -> None:
        if server.scheme == "stun":
            await _bind(server)
            return
        name, password = self._network.login(server, time.time())
        transport, _ = await turn.create_turn_endpoint(
            asyncio.DatagramProtocol,
            (server.host, server.port),
            username=name,
            password=password,
            ssl=server.scheme == "turns",
            transport=server.transport,
        )
        transport.close()

    def _note(self, server: IceServer, failure: str | None = None) -> None:
        before = self._answers.get(server)
        self._answers[server] = failure is None
        if failure and before is not False:
            _log.warning("%s does not answer (%s): calls do without", server, failure)
        elif not failure and not before:
            _log.info("%s answers", server)


async def _bind(server: IceServer) -> None:
    """Ask a STUN server for our address."""
    loop = asyncio.get_running_loop()
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    answered: asyncio.Future[None] = loop.create_future()

    class Question(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _: object) -> None:
            if data[8:20] == request.transaction_id and not answered.done():
                answered.set_result(None)

        def error_received(self, error: Exception) -> None:
            if not answered.done():
                answered.set_exception(error)

    transport, _ = await loop.create_datagram_endpoint(
        Question, remote_addr=(server.host, server.port)
    )
    try:
        while not answered.done():
            transport.sendto(bytes(request))
            await asyncio.wait([answered], timeout=ANSWER_SECONDS / 3)
        await answered
    finally:
        answered.cancel()
        transport.close()
