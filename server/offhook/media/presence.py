"""Whether the other side of a connection is still there."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from offhook.media.private import is_there, packets_received

if TYPE_CHECKING:
    from aiortc import RTCIceTransport, RTCPeerConnection

_log = logging.getLogger(__name__)

# libwebrtc's patience before a connection counts as disturbed; and that of the
# JavaScript SDK before it is given up.
SILENCE_SECONDS = 5.0


async def gone(connection: RTCPeerConnection, silence: float) -> None:
    """Return when the other side of an open connection has been silent for too long.

    aiortc knows no disturbed connection, and aioice takes half a minute to give up.

    Args:
        connection: Any packet is a sign of life, and so is an answer when we ask.
        silence: Seconds without one until that is logged; as many more, and it is gone.
    """
    ice = _ice(connection)
    loop = asyncio.get_running_loop()
    received, alive, disturbed = -1, loop.time(), False
    while loop.time() - alive < 2 * silence:
        await asyncio.sleep(silence / 5)
        count = packets_received(connection)
        if count != received or await is_there(ice):
            if disturbed:
                _log.info("the connection is back")
            received, alive, disturbed = count, loop.time(), False
        elif loop.time() - alive >= silence and not disturbed:
            disturbed = True
            _log.warning("nothing has come for %g s", silence)


def _ice(connection: RTCPeerConnection) -> RTCIceTransport:
    lines = (*connection.getReceivers(), connection.sctp)
    return next(line.transport.transport for line in lines if line)
