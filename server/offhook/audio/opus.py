"""Opus packets without a codec: what their first byte says, and empty ones.

RFC 6716 §3.1.
"""

from __future__ import annotations

# Samples of a frame at 48 kHz by the configuration in the upper five bits.
_SILK = (480, 960, 1920, 2880)
_HYBRID = (480, 960)
_CELT = (120, 240, 480, 960)
_SAMPLES = (*_SILK * 3, *_HYBRID * 2, *_CELT * 4)
# Of a packet, in samples: 120 ms.
_LONGEST = 5760

# In the first byte: a number of frames follows; two channels; CELT of 20 ms, fullband.
_COUNTED = 0x03
_STEREO = 0x04
_FULLBAND = 0xF8
_MOST_FRAMES = _LONGEST // 960
# A frame of CELT that is silent, of any length.
_SILENT = b"\xff\xfe"
# CELT's configuration of 2.5 ms with the bandwidth of each; it has no medium band.
_CELT_OF = (*(16,) * 4, *(20,) * 8, 24, 24, 28, 28, *(c & ~3 for c in range(16, 32)))


def duration(packet: bytes) -> int:
    """How many samples at 48 kHz a packet lasts; 0 if it is malformed."""
    if not packet:
        return 0
    frames = (1, 2, 2, 0)[packet[0] & 3]
    if not frames:
        frames = packet[1] & 0x3F if len(packet) > 1 else 0
    samples = frames * _SAMPLES[packet[0] >> 3]
    return samples if samples <= _LONGEST else 0


def silence(samples: int) -> list[bytes]:
    """Packets of silence that last so long: a multiple of 2.5 ms."""
    packets = []
    while frames := min(_MOST_FRAMES, samples // _CELT[-1]):
        packets.append(bytes((_FULLBAND | _COUNTED, frames)) + _SILENT * frames)
        samples -= frames * _CELT[-1]
    return packets + [bytes((toc,)) + _SILENT for toc in _rest(_CELT_OF[-1], samples)]


def concealment(packet: bytes, samples: int) -> list[bytes]:
    """Packets that ask a decoder to make up so long after a packet, likewise.

    They are of its mode and length where that is possible (RFC 7845 §4.1).
    """
    toc = packet[0] & ~_COUNTED
    count, samples = divmod(samples, _SAMPLES[toc >> 3])
    rest = _rest(_CELT_OF[toc >> 3], samples)
    return [bytes((toc,))] * count + [bytes((other | toc & _STEREO,)) for other in rest]


def _rest(configuration: int, samples: int) -> list[int]:
    """The first bytes of CELT packets that last so long, the longest first."""
    tocs = []
    for longer in (3, 2, 1, 0):
        count, samples = divmod(samples, _CELT[longer])
        tocs += [(configuration + longer) << 3] * count
    return tocs
