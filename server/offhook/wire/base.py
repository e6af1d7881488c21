"""What a wire is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offhook.errors import WireClosed

# RFC 6455 §5.5: a control frame has room for 125 bytes, and the code takes two.
_REASON_BYTES = 123


class Wire(Protocol):
    """A connection that carries texts both ways, in order, until a side closes it.

    Any number of tasks may send, one at a time may receive.
    """

    @property
    def closed(self) -> WireClosed | None:
        """How it ended, or None while it is open.

        What had come before the other side closed it can still be received.
        """

    async def send(self, text: str) -> None:
        """Send a text, and wait while the other side has too much unread.

        Texts go out in the order of the calls. The text may have gone out where this
        is cancelled or fails.

        Raises:
            WireClosed: The connection has ended.
            InvalidRequest: The text is longer than can be sent; others still can.
        """

    async def receive(self) -> str:
        """Wait for the next text; cancelling loses none.

        Raises:
            WireClosed: The other side closed and all that it sent has been received,
                the connection broke, or this side closed.
            RuntimeError: Another task is already receiving.
        """

    def __aiter__(self) -> AsyncIterator[str]:
        """Receive until the connection ends, however it does: `closed` tells how."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the connection, once; what has not been received yet is dropped.

        Takes a moment at most, even if the other side does not answer or this is
        cancelled. A reason that is too long for a close frame is cut.

        Raises:
            ValueError: No side may send this code (RFC 6455 §7.4).
        """


def close_frame(code: int, reason: str) -> tuple[int, str]:
    """Check what a close frame is to say, and cut its reason to what fits in.

    Raises:
        ValueError: No side may send this code.
    """
    if not (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) and not (
        3000 <= code <= 4999
    ):
        raise ValueError(f"{code} is not a close code that may be sent")
    return code, reason.encode()[:_REASON_BYTES].decode(errors="ignore")
