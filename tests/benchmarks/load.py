"""A light load of calls: aiortc's ICE and DTLS, packets that were encoded before.

Run as a process of its own; it prints `up` when all calls are up, and a line of JSON
when it is done.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, CodecContext

from offhook.media.bypass import RtpPath
from offhook.media.codec import RATE as HEARD_RATE
from offhook.media.codec import Decoder
from offhook.protocol import rtp
from tests.benchmarks import janus

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE, FRAME = 48000, 960
FRAME_S = FRAME / RATE
PATTERN_S = 4
# So many calls are recorded, to be decoded when all is over.
RECORDED = 4
CHIRP = RATE * 60 // 1000


def pattern() -> NDArray[np.int16]:
    """800 ms of something like speech that begins with a chirp, and 200 ms of pause."""
    t = np.arange(RATE) / RATE
    voice = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 12))
    second = np.asarray(voice * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)) * 4000)
    at = np.arange(CHIRP) / RATE
    sweep = 300 * at + 0.5 * (3300 - 300) / (CHIRP / RATE) * at**2
    second[:CHIRP] = 12000 * np.sin(2 * np.pi * sweep)
    second[RATE * 8 // 10 :] = 0
    return np.tile(second, PATTERN_S).astype("<i2")


def encoded(pcm: NDArray[np.int16]) -> list[bytes]:
    """As a browser would: 32 kb/s, for speech."""
    codec = CodecContext.create("libopus", "w")
    codec.bit_rate, codec.format, codec.layout = 32000, "s16", "mono"
    codec.sample_rate, codec.time_base = RATE, Fraction(1, RATE)
    codec.options = {"application": "voip"}
    payloads = []
    for at in range(0, len(pcm), FRAME):
        samples = pcm[at : at + FRAME].reshape(1, -1)
        frame = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, at
        payloads += [bytes(packet) for packet in codec.encode(frame)]
    return payloads


@dataclass
class Stretch:
    """Packets with their times, in the order of their timestamps."""

    packets: dict[int, tuple[float, bytes]] = field(default_factory=dict)

    def put(self, timestamp: int, at: float, payload: bytes) -> None:
        self.packets.setdefault(timestamp, (at, payload))

    def chirps(self, like: NDArray[np.float32]) -> list[float]:
        """When each chirp begins, as one hears who plays each packet as it comes."""
        decoder, pcm, times = Decoder(), [], []
        for _, (at, payload) in sorted(self.packets.items()):
            pcm.append(np.frombuffer(decoder.decode(payload), "<i2"))
            times.append(at + np.arange(len(pcm[-1])) / HEARD_RATE)
        if not pcm:
            return []
        heard = np.concatenate(pcm).astype(np.float32)
        clock = np.concatenate(times)
        size = 1 << (len(heard) + len(like)).bit_length()
        spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(like, size))
        match = np.fft.irfft(spectrum, size)[: len(heard)]
        found = []
        least = 0.5 * match.max()
        while match[best := int(match.argmax())] > least:
            found.append(float(clock[best]))
            match[max(0, best - HEARD_RATE // 2) : best + HEARD_RATE // 2] = 0
        return found


class Call:
    """One call: sends the pattern, and times what comes back."""

    def __init__(self, payloads: list[bytes], loss: float, record: bool) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.peer.addTransceiver("audio")
        self.payloads = payloads
        self.loss = loss
        self.record = record
        self.measuring = False
        self.sent = self.lost = self.received = 0
        self.delays: list[float] = []
        self.out, self.back = Stretch(), Stretch()
        self._when: dict[bytes, float] = {}
        self._at = random.randrange(len(payloads))
        self._stopped = False

    async def dial(self, url: str) -> None:
        if "/webrtc/" in url:
            self.peer.createDataChannel("text")  # FastRTC waits for one
        up = asyncio.Event()
        self.peer.on("connectionstatechange", up.set)
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = self.peer.localDescription.sdp
        answer = await (janus.call if "janus" in url else post)(url, offer)
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(20):
            while self.peer.connectionState != "connected":
                up.clear()
                await up.wait()

    def begin(self) -> None:
        self._path = RtpPath.of(self.peer)
        self._path.open(self._hear)
        self._stream = rtp.Stream(self._path.ssrc, self._path.payload_type, 1, 0)
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + random.random() * FRAME_S
        self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        payload = self.payloads[self._at]
        self._at = (self._at + 1) % len(self.payloads)
        now = self._loop.time()
        data = self._stream.emit(payload, now)
        if self.measuring:
            self.sent += 1
            if self.record:
                self.out.put(self.sent, now, payload)
        if random.random() < self.loss:
            self.lost += self.measuring
        else:
            self._when[payload] = now
            self._path.send(data, self._stream.timestamp, now)
        self._due += FRAME_S
        if not self._stopped:
            self._loop.call_at(self._due, self._tick)

    def _hear(self, packet: rtp.Packet, now: float) -> None:
        if not self.measuring:
            return
        self.received += 1
        sent = self._when.get(packet.payload)
        if sent is not None and len(packet.payload) > 20:
            self.delays.append(now - sent)
        if self.record:
            self.back.put(packet.timestamp, now, packet.payload)

    async def close(self) -> None:
        self._stopped = True
        await self.peer.close()


async def post(url: str, offer: str) -> str:
    async with httpx.AsyncClient(timeout=30) as client:
        body = {"sdp": offer, "type": "offer", "webrtc_id": f"{random.random()}"}
        return str((await client.post(url, json=body)).json()["sdp"])


def mouth_to_ear(call: Call, like: NDArray[np.float32]) -> list[float]:
    """How much later each chirp is heard than it was said."""
    said = np.array(call.out.chirps(like))
    delays = []
    for heard in call.back.chirps(like):
        before = said[(said < heard + 0.01) & (said > heard - 0.95)]
        if len(before):
            delays.append(heard - float(before.max()))
    return delays


async def measure(
    url: str, count: int, seconds: float, loss: float
) -> dict[str, object]:
    """Call, wait until all has settled, and measure for so many seconds."""
    payloads = encoded(pattern())
    calls = [Call(payloads, loss, number < RECORDED) for number in range(count)]
    for call in calls:
        await call.dial(url)
        call.begin()
    await asyncio.sleep(2)
    sys.stdout.write("up\n")
    sys.stdout.flush()
    for call in calls:
        call.measuring = True
    await asyncio.sleep(seconds)
    for call in calls:
        call.measuring = False
    sys.stdout.write("over\n")
    sys.stdout.flush()
    await asyncio.gather(*(call.close() for call in calls))
    totals: defaultdict[str, int] = defaultdict(int)
    for call in calls:
        for name in ("sent", "lost", "received"):
            totals[name] += getattr(call, name)
    like = np.frombuffer(b"".join(map(Decoder().decode, payloads)), "<i2")
    like = like[HEARD_RATE : HEARD_RATE + CHIRP // 2 + 200].astype(np.float32)
    recorded = [call for call in calls if call.record]
    return {
        **totals,
        "packets": sorted(1000 * d for call in calls for d in call.delays),
        "chirps": sorted(1000 * d for c in recorded for d in mouth_to_ear(c, like)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("calls", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("loss", type=float)
    given = parser.parse_args()
    result = asyncio.run(measure(given.url, given.calls, given.seconds, given.loss))
    sys.stdout.write(json.dumps(result) + "\n")
