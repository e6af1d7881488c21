"""Makes a peer connection of aiortc fit for the open Internet."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from offhook.media import private
from offhook.media.filter import SourceFilter
from offhook.media.gathering import Gathering
from offhook.media.network import IceServer, Network

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCPeerConnection

    from offhook.media.servers import IceServers

# How long a goodbye to a TURN server may take; one that is dead is waited for a minute.
_CLOSE_SECONDS = 3.0
# What a close may take after that.
_LEAVE_SECONDS = 1.0


def harden(
    connection: RTCPeerConnection,
    network: Network,
    servers: IceServers,
    fail: Callable[[Exception], None],
    allowance: float = math.inf,
    proved: Callable[[], None] = lambda: None,
) -> list[SourceFilter]:
    """Put filters before a connection, which has its transports and no socket yet.

    That is before its first `setLocalDescription`.

    Args:
        connection: Its own ICE servers are not used.
        network: How it reaches the other side.
        servers: The STUN and TURN servers that answer.
        fail: Told what the other side, or we, have broken; it ends the call.
        allowance: See `SourceFilter`.
        proved: See there.
    """
    private.contain(connection, fail)
    filters = []
    for transport in private.transports(connection):
        ice = private.ice_of(transport)
        filters.append(SourceFilter(ice, allowance, proved))
        Gathering(ice, filters[-1], network, servers)
    return filters


def configured(connection: RTCPeerConnection) -> Network:
    """Make a network of the ICE servers that a connection was made with.

    Raises:
        SettingsError: One cannot be used.
    """
    servers: list[IceServer] = []
    for server in private.ice_servers(connection):
        urls = [server.urls] if isinstance(server.urls, str) else server.urls
        login = (server.username or "", server.credential or "")
        servers += [replace(IceServer.parse(url), login=login) for url in urls]
    return Network(tuple(servers), candidates="public")


async def close(connection: RTCPeerConnection, filters: list[SourceFilter]) -> None:
    """Close a connection that was hardened, and what it may have left running.

    aiortc never ends a close whose tasks were cancelled, as all of them are where a
    program leaves its event loop: what is not done in a few seconds is left.
    """
    ending = asyncio.create_task(_end(connection))
    _, late = await asyncio.wait([ending], timeout=_CLOSE_SECONDS)
    if late:
        for transport in private.transports(connection):
            private.abandon_relays(transport)
        await asyncio.wait([ending], timeout=_LEAVE_SECONDS)
    for filter in filters:
        filter.close()
    if not ending.done():
        ending.cancel()
    elif not ending.cancelled():
        ending.result()


async def _end(connection: RTCPeerConnection) -> None:
    # One that aiortc has begun itself: a second only waits, even if it was cancelled.
    await (private.closing(connection) or connection.close())
    await private.stop_asking(connection)
