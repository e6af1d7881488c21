"""libwebrtc's echo, by `wrtc` and its copy of aiortc's interface."""

from __future__ import annotations

from signalling import serve  # type: ignore[import-not-found]  # beside this script
from webrtc.aiortc import (  # type: ignore[import-not-found]  # its own environment
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)

calls: list[RTCPeerConnection] = []


async def answer(sdp: str) -> str:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    calls.append(peer)
    peer.on("track", peer.addTrack)
    await peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    return str(peer.localDescription.sdp)


serve(answer)
