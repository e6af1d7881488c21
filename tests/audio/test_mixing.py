from __future__ import annotations

import numpy as np
import pytest

from offhook.audio.mixing import Ducking, Fade, amplitude, mix, pcm16, power, samples

SPEECH, SILENCE = 10**-2.0, 0.0


def test_decibels_are_a_factor() -> None:
    assert [amplitude(db) for db in (0, -20, 20)] == pytest.approx([1, 0.1, 10])


def test_power_is_one_for_full_scale() -> None:
    square = samples(np.full(480, -32768, "<i2").tobytes())
    assert power(square) == pytest.approx(1)
    assert power(square / np.float32(10)) == pytest.approx(0.01)


def test_a_sound_gives_way_to_speech_and_comes_back() -> None:
    ducking = Ducking(-12)
    assert ducking.follow(SILENCE, 20) == 1
    down = [ducking.follow(SPEECH, 20) for _ in range(10)]
    # Within the attack, evenly.
    assert down[0] == pytest.approx(1 - (1 - amplitude(-12)) / 3)
    assert down[2:] == pytest.approx([amplitude(-12)] * 8)
    held = [ducking.follow(SILENCE, 20) for _ in range(14)]
    assert held == pytest.approx([amplitude(-12)] * 14)  # between two words
    back = [ducking.follow(SILENCE, 20) for _ in range(40)]
    assert back[-1] == 1
    assert max(np.diff([1, *down, *held, *back])) < 0.03


def test_a_murmur_is_no_speech() -> None:
    ducking = Ducking(-12)
    assert ducking.follow(10**-5.0, 20) == 1


def test_a_fade_comes_and_goes_in_its_time() -> None:
    fade = Fade(100)
    assert [fade.pass_on(20) for _ in range(6)] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1, 1]
    )
    assert not fade.over
    fade.out()
    assert [fade.pass_on(50) for _ in range(3)] == pytest.approx([0.5, 0, 0])
    assert fade.over


def test_a_fade_of_no_time_is_at_once() -> None:
    fade = Fade(0)
    assert fade.pass_on(20) == 1
    fade.out()
    assert fade.pass_on(20) == 0


def mixed(one: list[int], other: list[int], *gain: float) -> list[int]:
    pcm = samples(np.array(one, "<i2").tobytes())
    mix(pcm, np.array(other, np.int16), *gain)
    return [int(sample) for sample in np.frombuffer(pcm16(pcm), "<i2")]


def test_two_sounds_are_added() -> None:
    assert mixed([100, -100, 0], [10, 20, 30], 0.5, 0.5) == [105, -90, 15]


def test_the_gain_moves_from_one_end_to_the_other() -> None:
    assert mixed([0] * 5, [100] * 5, 0.0, 1.0) == [0, 25, 50, 75, 100]


@pytest.mark.parametrize("gain", [(1.0, 1.0), (0.5, 1.0)])
def test_a_shorter_sound_is_followed_by_silence(gain: tuple[float, float]) -> None:
    assert mixed([7, 7, 7], [], *gain) == [7, 7, 7]
    assert mixed([7, 7, 7], [0, 8], *gain)[2] == 7


def test_what_is_too_loud_is_clipped() -> None:
    """Wrapped, it would be a bang."""
    assert mixed([30000, -30000], [30000, -30000], 1.0, 1.0) == [32767, -32768]
