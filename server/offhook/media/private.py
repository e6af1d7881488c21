"""Every private part of aiortc and aioice that Offhook touches, in one place.

They hold for the versions pinned in pyproject.toml; a contract test fails when a
new version moves them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aioice import ice
from aiortc.jitterbuffer import JitterBuffer

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCRtpReceiver

# aiortc waits for 4 packets before it hands out the first (80 ms for the whole call)
# and, after one loss, for 16 (320 ms). An ear that listens for turns wants neither.
_CAPACITY = 4
_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"


def listen_eagerly(receiver: RTCRtpReceiver) -> None:
    """Take 80 ms of waiting out of a receiver; before its first packet."""
    if not hasattr(receiver, _JITTER_BUFFER):
        raise AttributeError(f"aiortc moved {_JITTER_BUFFER}: adapt media/private.py")
    setattr(receiver, _JITTER_BUFFER, JitterBuffer(capacity=_CAPACITY, prefetch=0))


def offer_loopback_when_alone() -> None:
    """Let a machine without a network still call itself.

    aioice leaves 127.0.0.1 out of the host candidates, so that on a laptop in a train
    there would be none at all.
    """
    original: Callable[..., list[str]] = ice.get_host_addresses
    if getattr(original, "offhook", False):
        return

    def get_host_addresses(*args: Any, **kwargs: Any) -> list[str]:
        return original(*args, **kwargs) or ["127.0.0.1"]

    get_host_addresses.offhook = True  # type: ignore[attr-defined]  # a mark
    ice.get_host_addresses = get_host_addresses
