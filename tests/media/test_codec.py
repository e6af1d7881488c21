from __future__ import annotations

import ctypes.util

import av
import numpy as np
import pytest

from offhook.errors import MissingExtra
from offhook.media.codec import FRAME_BYTES, Decoder, Encoder, library
from tests.media.opus import clicks, decoded, encoded, loudness, tone


def test_what_was_encoded_is_decoded() -> None:
    pcm, encoder = tone(440, 1), Encoder()
    parts = (pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES))
    payloads = [encoder.encode(part) for part in parts]
    heard = decoded(payloads)
    assert len(heard) == 24000
    assert loudness(heard[4800:], 440) == pytest.approx(0.25, rel=0.02)
    assert clicks(heard[4800:]) < 0.002
    assert 9000 < sum(map(len, payloads)) < 11000  # 80 kb/s


def test_it_takes_two_milliseconds_and_a_half() -> None:
    encoder, pcm = Encoder(), np.zeros(4800, np.int16)
    pcm[2400] = 20000
    parts = pcm.reshape(-1, 480)
    heard = decoded(encoder.encode(part.tobytes()) for part in parts)
    assert int(np.abs(heard).argmax()) - 2400 == pytest.approx(60, abs=2)


@pytest.mark.parametrize("application", ["voip", "lowdelay"])
@pytest.mark.parametrize("ms", [10, 20, 60])
def test_a_lost_packet_is_made_up(application: str, ms: int) -> None:
    payloads = encoded(tone(440, 1.2), ms=ms, application=application)
    decoder = Decoder()
    before = [decoder.decode(payload) for payload in payloads[:10]]
    made_up = np.frombuffer(decoder.conceal(), "<i2")
    assert len(made_up) == 24 * ms
    assert loudness(made_up, 440) > 0.5 * loudness(
        np.frombuffer(before[-1], "<i2"), 440
    )


def test_a_packet_that_is_repeated_by_the_next_is_more_than_made_up() -> None:
    sweep = np.arange(24000) / 24000
    wave = 8000 * np.sin(2 * np.pi * (200 * sweep + 400 * sweep**2))
    payloads = encoded(
        wave.astype("<i2").tobytes(), fec="1", packet_loss="30", vbr="off"
    )

    def errors(repair: bool) -> float:
        decoder, worst = Decoder(), []
        truth = decoded(payloads).reshape(-1, 480)
        for at, payload in enumerate(payloads):
            if at % 10 == 9 and at + 1 < len(payloads):
                following = payloads[at + 1] if repair else None
                made_up = np.frombuffer(decoder.conceal(following), "<i2")
                difference = made_up.astype(float) - truth[at]
                worst.append(float(np.sqrt(np.mean(difference**2))))
            else:
                decoder.decode(payload)
        return float(np.median(worst))

    assert errors(repair=True) < 0.7 * errors(repair=False)


def test_what_is_lost_for_long_is_silence() -> None:
    decoder = Decoder()
    for payload in encoded(tone(440, 0.4)):
        decoder.decode(payload)
    made_up = [decoder.conceal() for _ in range(7)]
    assert any(made_up[4])
    assert made_up[5:] == [bytes(960)] * 2


def test_before_the_first_packet_there_is_silence() -> None:
    assert Decoder().conceal() == bytes(960)


@pytest.mark.parametrize("payload", [b"", b"\x03", b"\xff\x3f", b"\x03\xc1\xff\xff"])
def test_a_malformed_packet_counts_as_lost(payload: bytes) -> None:
    decoder = Decoder()
    assert decoder.decode(payload) == bytes(960)
    assert len(decoder.decode(encoded(tone(440, 0.04))[0])) == 960


def test_no_payload_makes_it_fail() -> None:
    chance, decoder = np.random.default_rng(1), Decoder()
    for size in range(1, 400):
        pcm = decoder.decode(chance.bytes(size))
        assert 0 < len(pcm) <= 2 * 24 * 120


def test_a_machine_without_libopus_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "__file__", "/nowhere/av/__init__.py")
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(MissingExtra, match="libopus"):
        library.__wrapped__()
