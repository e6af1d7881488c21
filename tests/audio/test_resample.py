from __future__ import annotations

import numpy as np
import pytest

from offhook.audio import Resampler, resample


def sine(rate: int, seconds: float = 1.0, hertz: float = 440.0) -> bytes:
    t = np.arange(round(rate * seconds)) / rate
    return (np.sin(2 * np.pi * hertz * t) * 20000).astype("<i2").tobytes()


@pytest.mark.parametrize("src", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("dst", [8000, 16000, 24000, 48000])
def test_a_second_stays_a_second(src: int, dst: int) -> None:
    assert len(resample(sine(src), src, dst)) == dst * 2


@pytest.mark.parametrize(
    ("src", "dst"), [(24000, 16000), (48000, 24000), (8000, 24000)]
)
def test_chunks_give_the_samples_of_the_whole(src: int, dst: int) -> None:
    whole = sine(src)
    resampler = Resampler(src, dst)
    step = src // 50 * 2 + 14  # not a multiple of anything
    chunks = [
        resampler.feed(whole[at : at + step]) for at in range(0, len(whole), step)
    ]
    chunks.append(resampler.feed(b"", last=True))
    assert b"".join(chunks) == resample(whole, src, dst)


def test_live_delay_is_short() -> None:
    given = Resampler(48000, 24000).feed(sine(48000, 0.1))
    assert len(given) // 2 >= 2400 - 24 * 5  # at most 5 ms are held back


def test_the_tone_is_the_same_tone() -> None:
    down = np.frombuffer(resample(sine(48000), 48000, 16000), "<i2").astype(float)
    ideal = np.frombuffer(sine(16000), "<i2").astype(float)
    error = (down - ideal)[160:-160]
    assert 10 * np.log10(np.mean(ideal**2) / np.mean(error**2)) > 40


def test_equal_rates_are_left_alone() -> None:
    assert Resampler(24000, 24000).feed(b"\x01\x02") == b"\x01\x02"


def test_empty_feed_gives_nothing() -> None:
    assert Resampler(24000, 16000).feed(b"") == b""
