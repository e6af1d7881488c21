"""Every private part of aiortc and aioice that Offhook touches, in one place.

They hold for the versions pinned in pyproject.toml; a contract test fails when a
new version moves them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from aioice import ice, stun
from aiortc import rtp
from aiortc.jitterbuffer import JitterBuffer

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCIceTransport, RTCPeerConnection, RTCRtpReceiver
    from av import AudioFrame

# aiortc waits for 4 packets before it hands out the first (80 ms for the whole call)
# and, after one loss, for 16 (320 ms). An ear that listens for turns wants neither.
_CAPACITY = 4
_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_STARTED = "_RTCIceTransport__start"


def listen_eagerly(receiver: RTCRtpReceiver) -> None:
    """Take 80 ms of waiting out of a receiver; before its first packet."""
    if not hasattr(receiver, _JITTER_BUFFER):
        raise AttributeError(f"aiortc moved {_JITTER_BUFFER}: adapt media/private.py")
    setattr(receiver, _JITTER_BUFFER, JitterBuffer(capacity=_CAPACITY, prefetch=0))


def turn_deaf(receiver: RTCRtpReceiver) -> None:
    """Drop what a receiver gets before it is decoded; after the descriptions are set.

    What nobody reads would be decoded into a queue without end.
    """
    if not hasattr(receiver, "_enabled"):
        raise AttributeError("aiortc moved _enabled: adapt media/private.py")
    receiver._enabled = False


async def is_there(transport: RTCIceTransport) -> bool:
    """Ask the other side for a sign of life (RFC 7675), for half a second.

    aioice asks every five seconds, and takes half a minute to give up.
    """
    connection = transport._connection
    key = str(connection.remote_password).encode()
    for pair in tuple(connection._nominated.values()):
        request = connection.build_request(pair, nominate=False)
        try:
            await pair.protocol.request(
                request, pair.remote_addr, integrity_key=key, retransmissions=0
            )
        except stun.TransactionError:
            continue
        return True
    return False


async def stop_asking(connection: RTCPeerConnection) -> None:
    """End what a closed connection may still do: ask for consent, for ever.

    aioice begins to when the last check succeeds in the moment of the close.
    """
    transports = {t.receiver.transport for t in connection.getTransceivers()}
    if connection.sctp:
        transports.add(connection.sctp.transport)
    for transport in transports:
        started = getattr(transport.transport, _STARTED)
        if started:
            await started.wait()
        asking = transport.transport._connection._query_consent_task
        if asking:
            asking.cancel()


def measure_levels_quickly() -> None:
    """Replace aiortc's loop over the bytes of each frame that is sent.

    It takes 0.1 ms for 20 ms of mono, and 0.8 ms for a frame of the Opus decoder, whose
    buffer is longer than its samples: these it even counts in.
    """
    if not hasattr(rtp, "compute_audio_level_dbov"):
        raise AttributeError(
            "aiortc moved compute_audio_level_dbov: adapt media/private.py"
        )
    rtp.compute_audio_level_dbov = audio_level


def audio_level(frame: AudioFrame) -> int:
    """Return the level of a frame of 16-bit samples, from -127 to 0 (RFC 6465)."""
    samples = frame.to_ndarray().astype(np.float32)
    power = float(np.square(samples / 32767).sum()) / frame.samples
    return round(min(0.0, max(-127.0, 10 * math.log10(power)))) if power else -127


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
