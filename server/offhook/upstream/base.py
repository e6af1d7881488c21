"""What the relay asks of an upstream, whoever that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from offhook.wire.base import Wire


@dataclass(frozen=True, slots=True)
class Answer:
    """The upstream's answer to an offer."""

    call_id: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A session over WebSocket that is set up; what comes next is the caller's.

    Attributes:
        wire: Carries its events.
        session: What the upstream says that it is.
    """

    wire: Wire
    session: dict[str, Any]


class Upstream(Protocol):
    """Answers offers; each method raises `UpstreamError` where that fails.

    No method tries twice: an upstream may bill every attempt. All may be used by
    several tasks of one event loop at once.
    """

    async def mint(self, session: Mapping[str, Any], seconds: int) -> dict[str, Any]:
        """Make a client secret that opens this session within so many seconds."""
        ...

    async def answer(self, offer: bytes, session: Mapping[str, Any]) -> Answer:
        """Start a call: the offer's bytes go to the upstream as they are.

        Raises:
            InvalidRequest: The upstream cannot use the offer.
        """
        ...

    def connect(
        self, session: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[Opened]:
        """Hold a session over WebSocket, set up like this, and close it at the end."""
        ...

    def attach(self, call_id: str) -> AbstractAsyncContextManager[Wire]:
        """Hold a sideband to a call: it sees its events, and can send some.

        Leaving closes the sideband; the call goes on.

        Raises:
            NotFound: There is no such call, not yet or not any more; or there are no
                sidebands here.
        """
        ...

    async def hang_up(self, call_id: str) -> None:
        """End a call.

        Raises:
            NotFound: The upstream has no such call, or not any more.
        """
        ...

    async def aclose(self) -> None:
        """Give back the connections; calls go on."""
        ...
