"""Makes a peer connection of aiortc fit for the open Internet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from offhook.media import private
from offhook.media.filter import SourceFilter
from offhook.media.gathering import Gathering

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCPeerConnection

    from offhook.media.network import Network
    from offhook.media.servers import IceServers


def harden(
    connection: RTCPeerConnection,
    network: Network,
    servers: IceServers,
    fail: Callable[[Exception], None],
    allowance: float = math.inf,
) -> list[SourceFilter]:
    """Put filters before a connection, which has its transports and no socket yet.

    That is before its first `setLocalDescription`.

    Args:
        connection: Its own ICE servers are not used.
        network: How it reaches the other side.
        servers: The STUN and TURN servers that answer.
        fail: Told what the other side, or we, have broken; it ends the call.
        allowance: See `SourceFilter`.
    """
    private.contain(connection, fail)
    filters = []
    for transport in private.transports(connection):
        ice = private.ice_of(transport)
        filters.append(SourceFilter(ice, allowance))
        Gathering(ice, filters[-1], network, servers)
    return filters
