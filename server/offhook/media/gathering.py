"""Opens the sockets of a peer, and finds the addresses to put into its answer."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from typing import TYPE_CHECKING

from aioice import Candidate, ice
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.turn import UDP_SOCKET_BUFFER_SIZE

from offhook.errors import ServerError
from offhook.media import private
from offhook.media.filter import FilteredProtocol, SourceFilter
from offhook.media.servers import ANSWER_SECONDS, IceServers

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from aioice.ice import Connection

    from offhook.media.network import IceServer, Network

_log = logging.getLogger(__name__)


class Gathering:
    """Gathers the candidates of one ICE connection.

    Args:
        connection: The ICE connection; before it has gathered.
        filter: What its datagrams pass.
        network: What the operator says.
        servers: The STUN and TURN servers that answer.
    """

    def __init__(
        self,
        connection: Connection,
        filter: SourceFilter,
        network: Network,
        servers: IceServers,
    ) -> None:
        self._connection = connection
        self._filter = filter
        self._network = network
        self._servers = servers
        private.gather_with(connection, self.gather)

    async def gather(self, component: int, addresses: list[str]) -> list[Candidate]:
        """Return the candidates; aioice calls this.

        Raises:
            ServerError: There is no port left.
        """
        sockets = [socket for a in addresses if (socket := await self._open(a))]
        for protocol in sockets:
            protocol.local_candidate = _host(protocol, component)
        found = [protocol.local_candidate for protocol in sockets]
        found += self._advertised(found)
        found += await self._asked(component, sockets)
        if not found:
            raise ServerError(
                "There is no free UDP port for another call: try again later.",
                code="server_busy",
                status=503,
                retry_after="5",
            )
        return found

    async def _open(self, address: str) -> FilteredProtocol | None:
        """Bind a socket to an address, to one of our ports if there are any."""
        loop = asyncio.get_running_loop()
        for port in _shuffled(self._network.ports) or (0,):
            try:
                _, protocol = await loop.create_datagram_endpoint(
                    self._protocol, sock=_bound(address, port)
                )
            except OSError as error:
                _log.debug("cannot bind to %s port %d: %s", address, port, error)
                continue
            private.adopt(self._connection, protocol)
            return protocol
        return None

    def _protocol(self) -> FilteredProtocol:
        return FilteredProtocol(self._connection, self._filter)

    def _advertised(self, hosts: Iterable[Candidate]) -> list[Candidate]:
        """Name the address outside, beside those inside, with the same ports."""
        address = self._network.address
        if address is None:
            return []
        return [
            _reflexive(host, address, host.port)
            for host in hosts
            if (":" in host.host) == (":" in address)
        ]

    async def _asked(
        self, component: int, sockets: list[FilteredProtocol]
    ) -> list[Candidate]:
        """Ask the servers; one that does not answer is asked no more for a while."""
        asked: dict[asyncio.Task[Candidate], IceServer] = {}

        def ask(server: IceServer, work: Coroutine[None, None, Candidate]) -> None:
            asked[asyncio.create_task(work)] = server

        for server in await self._servers.usable():
            if server.scheme != "stun":
                ask(server, self._relayed(server, component))
                continue
            for protocol in sockets:
                if ":" not in protocol.local_candidate.host:  # aioice: IPv4 only
                    ask(server, _mapped(server, protocol))
        try:
            if asked:
                await asyncio.wait(asked, timeout=ANSWER_SECONDS)
        finally:
            for task in asked:
                task.cancel()
        if asked:
            await asyncio.wait(asked)
        found = []
        for task, server in asked.items():
            if task.cancelled() or task.exception():
                self._servers.doubt(server)
            else:
                found.append(task.result())
        return found

    async def _relayed(self, server: IceServer, component: int) -> Candidate:
        name, password = self._network.login(server, time.time())
        candidate, protocol = await ice.relayed_candidate(
            component=component,
            hide_related_address=False,
            protocol_factory=self._protocol,
            turn_server=(server.host, server.port),
            turn_username=name,
            turn_password=password,
            turn_ssl=server.scheme == "turns",
            turn_transport=server.transport,
        )
        private.adopt(self._connection, protocol)
        return candidate


async def _mapped(server: IceServer, protocol: FilteredProtocol) -> Candidate:
    found, _ = await ice.server_reflexive_candidate(
        protocol, (server.host, server.port)
    )
    return found


def _shuffled(ports: range) -> list[int]:
    return random.sample(ports, len(ports))


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_SOCKET_BUFFER_SIZE)
        opened.bind((address, port))
    except BaseException:
        opened.close()
        raise
    return opened


def _host(protocol: FilteredProtocol, component: int) -> Candidate:
    host, port = protocol.transport.get_extra_info("sockname")[:2]
    return Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host"),
        host=host,
        port=port,
        type="host",
    )


def _reflexive(base: Candidate, host: str, port: int) -> Candidate:
    return Candidate(
        foundation=candidate_foundation("srflx", "udp", base.host),
        component=base.component,
        transport="udp",
        priority=candidate_priority(base.component, "srflx"),
        host=host,
        port=port,
        type="srflx",
        related_address=base.host,
        related_port=base.port,
    )
