from __future__ import annotations

from fractions import Fraction

import pytest
from av import AudioFrame, CodecContext

from offhook.audio import opus


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
