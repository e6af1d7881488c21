"""What the relay asks of an upstream, whoever that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Answer:
    """The upstream's answer to an offer."""

    call_id: str
    sdp: bytes


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

    async def hang_up(self, call_id: str) -> None:
        """End a call.

        Raises:
            NotFound: The upstream has no such call, or not any more.
        """
        ...

    async def aclose(self) -> None:
        """Give back the connections; calls go on."""
        ...
