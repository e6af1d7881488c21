"""What may reach a peer: a stranger's datagrams are dropped before anybody reads them.

aioice hands every datagram that is no STUN message to the DTLS layer, whoever sent it,
through a queue without end: one empty datagram ends a call, one ClientHello before ICE
is complete keeps it from connecting, and junk fills the memory. Here only who has
proved to know our answer gets further. RFC 8445 §12.2 would have us take data on any
candidate that we offered: this is stricter on purpose.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from aioice import stun
from aioice.ice import StunProtocol

from offhook.media import private
from offhook.media.bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioice.ice import Connection

    Source = tuple[str, int]

_log = logging.getLogger(__name__)

# RFC 7983 §7: below it is STUN, and what is dropped.
_FIRST_DTLS = 20
# Of one datagram: libsrtp's buffer, beyond which pylibsrtp raises ValueError.
_MAX_SRTP = 1500
# Datagrams that wait to be read. A call that is alive has none or a few.
_MAX_WAITING = 512
# Addresses that a call may come from at a time.
_MAX_SOURCES = 16
# aiortc keeps books on each for ever. A microphone has one, and one if it is changed.
_MAX_STREAMS = 16


class SourceFilter:
    """Decides which datagrams one ICE connection gets to see.

    Args:
        connection: The ICE connection; before it has sockets.
        allowance: How many bytes it may send to addresses that have not proved
            anything yet; they were chosen by whoever wrote the offer.
        proved: Called when an address has proved to know our password.

    Attributes:
        dropped: How many datagrams were dropped, by reason.
    """

    def __init__(
        self,
        connection: Connection,
        allowance: float = math.inf,
        proved: Callable[[], None] = lambda: None,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._connection = connection
        self._allowance = allowance
        self._tell_proved = proved
        # The pairs of a socket and a far address, oldest first.
        self._proved: dict[tuple[object, Source], None] = {}
        self._streams: set[bytes] = set()
        # A network that changes all the time changes twice a minute.
        self._new_sources = Bucket(rate=1 / 30, burst=8)
        # An answer to who proves nothing is 2.4 times what it asked with.
        self._refusals = Bucket(rate=2, burst=4)
        # A packet is 20 ms; 2.5 ms is Opus' shortest.
        self._media = Bucket(rate=500, burst=1000)

    def reason_to_drop(self, socket: object, data: bytes, source: Source) -> str | None:
        """Judge one datagram; None lets it through (RFC 7983 tells the kinds apart)."""
        if not data:
            return "empty"
        kind = data[0]
        if kind < 4:
            return self._judge_stun(socket, data, source)
        media = 128 <= kind < 192
        if not (media or _FIRST_DTLS <= kind < 64):
            return "unknown"
        if media and len(data) > _MAX_SRTP:
            return "oversized"
        # Looked up here first: each packet of speech comes this way.
        if (socket, source) not in self._proved and not self.has_proved(socket, source):
            return "stranger"
        if private.waiting(self._connection) >= _MAX_WAITING:
            return "backlog"
        return self._judge_media(data) if media else None

    def has_proved(self, socket: object, source: Source) -> bool:
        """Tell whether a source knows our password, or answered our check with it."""
        if (socket, source) in self._proved:
            return True
        # RFC 8445 §7.2.5.3, §8.1.1: who is ICE lite never sends a check of its own.
        if private.has_succeeded(self._connection, socket, source):
            self._remember(socket, source)
            return True
        return False

    def may_ask(self, socket: object, size: int, target: Source) -> bool:
        """Take what a check costs out of the allowance, if it is one of a stranger."""
        if self.has_proved(socket, target):
            return True
        if size > self._allowance:
            self.dropped["allowance"] += 1
            return False
        self._allowance -= size
        return True

    def close(self) -> None:
        """Forget who has proved anything, and log what was dropped."""
        self._proved.clear()
        if self.dropped:
            counts = ", ".join(f"{n} {reason}" for reason, n in self.dropped.items())
            _log.info("datagrams dropped: %s", counts)

    def _judge_stun(self, socket: object, data: bytes, source: Source) -> str | None:
        try:
            message = stun.parse_message(data)
        except Exception:  # ValueError, struct.error: whatever a parser falls over
            return "malformed"
        if message.message_class is not stun.Class.REQUEST:
            return None
        now = time.monotonic()
        if not self._is_authentic(message):
            return None if self._refusals.take(now) else "unauthentic"
        if "PRIORITY" not in message.attributes:
            return "malformed"  # RFC 8445 §7.1.1; aioice takes it for granted
        if not self.has_proved(socket, source):
            if not self._new_sources.take(now):
                return "sources"
            self._remember(socket, source)
        return None

    def _is_authentic(self, message: stun.Message) -> bool:
        """Verify USERNAME and MESSAGE-INTEGRITY (RFC 8445 §7.3, RFC 8489 §9.1.3)."""
        ours, _, theirs = str(message.attributes.get("USERNAME", "")).partition(":")
        connection = self._connection
        return (
            message.message_method is stun.Method.BINDING
            and ours == connection.local_username
            # Unknown before the answer is applied.
            and connection.remote_username in (None, theirs)
            and message.check_message_integrity(connection.local_password.encode())
        )

    def _judge_media(self, data: bytes) -> str | None:
        if not self._media.take(time.monotonic()):
            return "rate"
        # RFC 5761 §4: what looks like these payload types is RTCP.
        if len(data) < 12 or 192 <= data[1] <= 223:
            return None
        stream = data[8:12]
        if stream not in self._streams:
            if len(self._streams) >= _MAX_STREAMS:
                return "streams"
            self._streams.add(stream)
        return None

    def _remember(self, socket: object, source: Source) -> None:
        if len(self._proved) >= _MAX_SOURCES:
            kept = private.nominated(self._connection)
            oldest = next((s for s in self._proved if s not in kept), None)
            if oldest:
                del self._proved[oldest]
        self._proved[socket, source] = None
        self._tell_proved()


class FilteredProtocol(StunProtocol):
    """A socket of an ICE connection behind a filter; works on any event loop."""

    def __init__(self, connection: Connection, filter: SourceFilter) -> None:
        super().__init__(connection)
        self._filter = filter

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Pass on what the filter lets through."""
        assert isinstance(data, bytes)
        # IPv6 addresses come as four-tuples.
        reason = self._filter.reason_to_drop(self, data, (addr[0], addr[1]))
        if reason is None:
            try:
                if data[0] < _FIRST_DTLS:
                    super().datagram_received(data, addr)
                else:
                    # aioice would try to read each packet of speech as STUN first.
                    self.receiver.data_received(data, self.local_candidate.component)
            except Exception as error:
                # One caller's datagram is no business of the event loop's.
                _log.debug("a datagram could not be handled: %r", error)
                reason = "broken"
        if reason:
            self._filter.dropped[reason] += 1

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """Send, unless it asks an address that proved nothing for too much."""
        asks = message.message_class is stun.Class.REQUEST
        if not asks or self._filter.may_ask(self, len(bytes(message)), addr):
            super().send_stun(message, addr)
