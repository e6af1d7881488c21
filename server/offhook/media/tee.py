"""Both sides of a call that passes elsewhere: a page sends them here to be heard."""

from __future__ import annotations

import logging
import re
from functools import partial
from typing import TYPE_CHECKING, Self

from offhook.errors import InvalidRequest
from offhook.media.bypass import RtpPath

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCPeerConnection

    from offhook.media.path import Tap
    from offhook.protocol.rtp import Packet

_log = logging.getLogger(__name__)

LINES = 2
_SOURCE = re.compile(r"^a=ssrc:(\d+) ", re.M)


class Tee:
    """The two audio lines of one connected peer, as packets; nothing is sent.

    Use as `async with Tee(...) as tee`.

    Args:
        connection: It is up. Its first audio line is the caller's side, the second the
            model's; both share its transport.

    Raises:
        InvalidRequest: The lines cannot be told apart, or have no Opus.
        ServerError: The connection is not up.
    """

    def __init__(self, connection: RTCPeerConnection) -> None:
        # What comes over the transport that the lines share comes by the first's path.
        self._path = RtpPath.of(connection)
        self._sources = sources(connection.remoteDescription.sdp)
        if len(set(self._sources)) < LINES:
            raise InvalidRequest(
                "The two sides cannot be told apart: offer each audio line with an "
                "a=ssrc of its own.",
                code="invalid_offer",
            )
        self._taps: dict[int, tuple[Tap, ...]] = dict.fromkeys(self._sources, ())

    async def __aenter__(self) -> Self:
        self._path.open(self._take)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._path.close()

    def tap_caller(self, tap: Tap) -> Callable[[], None]:
        """Call `tap` with each packet of the caller's; see `Leg.tap_said`."""
        return self._tap(self._sources[0], tap)

    def tap_model(self, tap: Tap) -> Callable[[], None]:
        """Call `tap` with each packet of what the caller hears."""
        return self._tap(self._sources[1], tap)

    def _tap(self, source: int, tap: Tap) -> Callable[[], None]:
        self._taps[source] += (tap,)
        return partial(self._untap, source, tap)

    def _untap(self, source: int, tap: Tap) -> None:
        self._taps[source] = tuple(t for t in self._taps[source] if t != tap)

    def _take(self, packet: Packet, now: float) -> None:
        for tap in self._taps.get(packet.ssrc, ()):
            try:
                tap(packet, now)
            except Exception:
                _log.exception("a tap failed: it hears no more of this call")
                self._untap(packet.ssrc, tap)


def sources(offer: str) -> list[int]:
    """Return the source of each audio line, of the first two that have one."""
    lines = re.split(r"^(?=m=)", offer, flags=re.M)
    found = [_SOURCE.search(line) for line in lines if line.startswith("m=audio")]
    return [int(match[1]) for match in found if match][:LINES]
