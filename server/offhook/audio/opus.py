"""What an Opus packet says about itself in its first byte (RFC 6716 §3.1)."""

from __future__ import annotations

# Samples of a frame at 48 kHz by the configuration in the upper five bits.
_SILK = (480, 960, 1920, 2880)
_HYBRID = (480, 960)
_CELT = (120, 240, 480, 960)
_SAMPLES = (*_SILK * 3, *_HYBRID * 2, *_CELT * 4)
# Of a packet, in samples: 120 ms.
_LONGEST = 5760


def duration(packet: bytes) -> int:
    """How many samples at 48 kHz a packet lasts; 0 if it is malformed."""
    if not packet:
        return 0
    frames = (1, 2, 2, 0)[packet[0] & 3]
    if not frames:
        frames = packet[1] & 0x3F if len(packet) > 1 else 0
    samples = frames * _SAMPLES[packet[0] >> 3]
    return samples if samples <= _LONGEST else 0
