from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from offhook.audio import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode

Codec = Callable[[bytes], bytes]

CODES = bytes(range(256))
LAWS = [(ulaw_encode, ulaw_decode), (alaw_encode, alaw_decode)]


def pcm(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


# ITU-T G.711 in 16 bits: silence, both extremes, and one level inside the scale.
@pytest.mark.parametrize(
    ("sample", "ulaw", "alaw"),
    [
        (0, 0xFF, 0xD5),
        (32767, 0x80, 0xAA),
        (-32768, 0x00, 0x2A),
        (1000, 0xCE, 0xFA),
        (-1000, 0x4E, 0x7A),
    ],
)
def test_known_codes(sample: int, ulaw: int, alaw: int) -> None:
    assert ulaw_encode(pcm(sample)) == bytes([ulaw])
    assert alaw_encode(pcm(sample)) == bytes([alaw])


def test_known_levels() -> None:
    assert ulaw_decode(b"\xff\x80\x00") == pcm(0, 32124, -32124)
    assert alaw_decode(b"\xd5\xaa\x2a") == pcm(8, 32256, -32256)


def test_ulaw_codes_survive_except_the_negative_zero() -> None:
    assert ulaw_encode(ulaw_decode(CODES)) == CODES.replace(b"\x7f", b"\xff")


def test_alaw_codes_survive() -> None:
    assert alaw_encode(alaw_decode(CODES)) == CODES


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_error_stays_within_the_step_of_its_segment(
    encode: Codec, decode: Codec
) -> None:
    samples = np.arange(-32768, 32768)
    heard = np.frombuffer(decode(encode(samples.astype("<i2").tobytes())), "<i2")
    error = np.abs(heard - samples)
    # Half a step is 1/32 of the segment's start; small signals have a fixed step.
    assert np.all(error <= np.maximum(np.abs(samples) / 32 + 8, 8) + 1)


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_nothing_stays_nothing(encode: Codec, decode: Codec) -> None:
    assert encode(b"") == decode(b"") == b""
