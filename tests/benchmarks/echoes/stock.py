"""aiortc's echo: the track that is received is the one that is sent."""

from __future__ import annotations

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from signalling import serve  # type: ignore[import-not-found]  # beside this script

calls: list[RTCPeerConnection] = []


async def answer(sdp: str) -> str:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    calls.append(peer)
    peer.on("track", peer.addTrack)
    await peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    return str(peer.localDescription.sdp)


serve(answer)
