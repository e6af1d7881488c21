"""Makes the peers of one process, and no more at a time than may wait for callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from offhook.errors import ServerError
from offhook.media.network import Network
from offhook.media.peer import CONNECT_SECONDS, Listener, Peer
from offhook.media.servers import IceServers

if TYPE_CHECKING:
    from collections.abc import Callable

# Each has two sockets or more, and is gone after 15 seconds. A process may have 1,024.
_MAX_WAITING = 100


class PeerFactory:
    """Makes peers for one network.

    Use as an async context manager: it tries the STUN and TURN servers meanwhile.

    Args:
        network: What the operator says about it.
        waiting: How many peers may be without their callers at a time.
        patience: How many seconds a caller has to connect.
    """

    def __init__(
        self,
        network: Network | None = None,
        *,
        waiting: int = _MAX_WAITING,
        patience: float = CONNECT_SECONDS,
    ) -> None:
        self._network = network or Network()
        self._servers = IceServers(self._network)
        self._places = waiting
        self._patience = patience

    async def __aenter__(self) -> Self:
        await self._servers.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._servers.__aexit__(*error)

    def make(
        self,
        listener: Listener,
        pull: Callable[[int], bytes] | None,
        *,
        lines: int = 1,
    ) -> Peer:
        """Make a peer; see there.

        Raises:
            ServerError: Too many wait for their callers: 503 with Retry-After.
        """
        if self._places <= 0:
            raise ServerError(
                "Too many callers are about to connect: try again in some seconds.",
                code="server_busy",
                status=503,
                retry_after="5",
            )
        peer = Peer(
            listener,
            pull,
            lines=lines,
            network=self._network,
            servers=self._servers,
            patience=self._patience,
            settled=self._leave,
        )
        self._places -= 1
        return peer

    def _leave(self) -> None:
        self._places += 1
