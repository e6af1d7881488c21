from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from av import AudioFrame, CodecContext, Packet

from offhook.audio import opus
from tests.media.opus import encoded, tone


@pytest.mark.parametrize("ms", [2.5, 5, 10, 20, 40, 60])
@pytest.mark.parametrize("mode", ["lowdelay", "voip"])
def test_a_packet_lasts_as_long_as_what_was_encoded(ms: float, mode: str) -> None:
    samples = int(48 * ms)
    codec = CodecContext.create("libopus", "w")
    codec.format, codec.layout, codec.sample_rate = "s16", "mono", 48000
    codec.time_base = Fraction(1, 48000)
    codec.options = {"application": mode, "frame_duration": f"{ms:g}"}
    frame = AudioFrame(format="s16", layout="mono", samples=samples)
    frame.planes[0].update(bytes(2 * samples))
    frame.sample_rate, frame.pts = 48000, 0
    (packet,) = codec.encode(frame)
    assert opus.duration(bytes(packet)) == samples


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"", 0),
        (b"\x03", 0),  # so many frames, but not how many
        (b"\x03\x00", 0),
        (b"\xfb\x06", 5760),  # 6 of 20 ms
        (b"\xfb\x07", 0),  # longer than 120 ms
        (b"\xf9", 1920),
        (b"\xfa", 1920),
        (b"\x18", 2880),
        (b"\xff\x3f", 0),
    ],
)
def test_packets_of_several_frames(packet: bytes, samples: int) -> None:
    assert opus.duration(packet) == samples


def decoded_samples(packets: list[bytes], decoder: str) -> list[int]:
    codec: Any = CodecContext.create(decoder, "r")
    codec.layout, codec.sample_rate = "mono", 48000
    return [sum(f.samples for f in codec.decode(Packet(p))) for p in packets]


@pytest.mark.parametrize("decoder", ["opus", "libopus"])
@pytest.mark.parametrize("samples", [0, 120, 840, 960, 1080, 5760, 48000, 48120])
def test_silence_lasts_as_long_as_it_should(samples: int, decoder: str) -> None:
    packets = opus.silence(samples)
    assert sum(map(opus.duration, packets)) == samples
    assert sum(decoded_samples(packets, decoder)) == samples


@pytest.mark.parametrize("decoder", ["opus", "libopus"])
@pytest.mark.parametrize("mode", ["lowdelay", "voip"])
@pytest.mark.parametrize("ms", [10, 20, 60])
def test_what_is_made_up_lasts_as_long_as_it_should(
    ms: int, mode: str, decoder: str
) -> None:
    said = encoded(tone(300, 0.5), ms=ms, application=mode)
    for samples in (0, 120, 600, 960, 2880, 3000):
        packets = opus.concealment(said[-1], samples)
        assert sum(map(opus.duration, packets)) == samples
        assert all(len(packet) == 1 for packet in packets)
        made = decoded_samples([*said, *packets, *said], decoder)
        assert sum(made) == 2 * sum(map(opus.duration, said)) + samples


@pytest.mark.parametrize("toc", range(0, 256, 4))
def test_what_is_made_up_is_like_what_was_said(toc: int) -> None:
    packet = bytes((toc | 3, 2, 0, 0))
    assert opus.concealment(packet, opus.duration(packet)) == [bytes((toc,))] * 2
    [rest] = opus.concealment(bytes((toc,)), 120)
    assert opus.duration(rest) == 120
    assert rest[0] & 4 == toc & 4
