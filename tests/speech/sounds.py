"""What a microphone hears besides speech: music, machines, and the room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from offhook.speech import CALL_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    Sound = NDArray[np.float64]

# How loud the partials of some instruments are.
SINE = (1.0,)
FLUTE = (1.0, 0.2, 0.08, 0.02)
CLARINET = (1.0, 0.05, 0.7, 0.05, 0.4, 0.04, 0.2)
BRASS = (0.6, 0.9, 1.0, 0.8, 0.6, 0.5, 0.35, 0.25, 0.15, 0.1)
ORGAN = (1.0, 0.8, 0.6, 0.5, 0.0, 0.3, 0.0, 0.3)
STRINGS = tuple(1 / n for n in range(1, 13))
PIANO = (1.0, 0.6, 0.35, 0.25, 0.15, 0.1, 0.06, 0.03)

MELODY = (60, 62, 64, 65, 67, 69, 71, 72, 67, 64, 60, 55, 57, 59, 60, 72, 76, 79, 76)
CHORDS = ((48, 60, 64, 67), (45, 57, 60, 64), (41, 57, 60, 65), (43, 55, 59, 62))


def clock(seconds: float) -> Sound:
    return np.arange(int(seconds * CALL_RATE)) / CALL_RATE


def gauss(seconds: float) -> Sound:
    return np.random.default_rng(0).normal(0, 0.3, int(seconds * CALL_RATE))


def note(
    key: float, seconds: float, partials: Iterable[float], *, fading: float = 9.0
) -> Sound:
    """One key of a piano's, by its MIDI number, on any instrument."""
    t = clock(seconds)
    hertz = 440 * 2 ** ((key - 69) / 12)
    tone = sum(
        loud * np.sin(2 * np.pi * n * hertz * t + n)
        for n, loud in enumerate(partials, 1)
    )
    ends = np.minimum(1, np.minimum(t / 0.01, (seconds - t) / 0.03))
    return np.asarray(tone * ends * np.exp(-t / fading))


def melody(partials: Iterable[float], down: int = 0, fading: float = 9.0) -> Sound:
    return np.concatenate(
        [note(key - down, 0.35, partials, fading=fading) for key in MELODY]
    )


def chords(partials: Iterable[float], fading: float = 9.0) -> Sound:
    bars = [[note(key, 1, partials, fading=fading) for key in c] for c in CHORDS]
    return np.concatenate([np.sum(bar, axis=0) for bar in bars])


def struck(hertz: float, noise: float, fading: float) -> Sound:
    """A drum, a key or a mouse button: a tone and a noise, soon gone."""
    t = clock(0.25)
    return (np.sin(2 * np.pi * hertz * t) + noise * gauss(0.25)) * np.exp(-t / fading)


def drums() -> Sound:
    hat, bass, snare = (
        struck(7000, 3, 0.02),
        struck(60, 0, 0.1),
        struck(190, 4, 0.07),
    )
    return np.concatenate([bass, hat, snare, hat] * 5)


def sweep(start: float, end: float, seconds: float) -> Sound:
    growth = np.log(end / start) / seconds
    return np.asarray(
        np.sin(2 * np.pi * start / growth * np.expm1(clock(seconds) * growth))
    )


def tones(pairs: Iterable[tuple[float, float]], seconds: float) -> Sound:
    """Dial tones: two frequencies at a time, with pauses."""
    t = clock(seconds)
    pause = np.zeros(int(0.1 * CALL_RATE))
    ramp = np.minimum(1, np.minimum(t, seconds - t) / 0.003)
    return np.concatenate(
        [
            np.concatenate(
                [ramp * (np.sin(2 * np.pi * a * t) + np.sin(2 * np.pi * b * t)), pause]
            )
            for a, b in pairs
        ]
    )


def dialling() -> Sound:
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
    return tones([(row, column) for row in rows for column in columns], 0.1)


def typing() -> Sound:
    pauses = np.random.default_rng(1).uniform(0, 0.15, 30)
    keys = [
        np.concatenate([struck(2500, 3, 0.004), np.zeros(int(pause * CALL_RATE))])
        for pause in pauses
    ]
    return np.concatenate(keys)


def coloured(seconds: float, gain: Callable[[Sound], Sound]) -> Sound:
    """Noise with another spectrum; `gain` is of the frequency."""
    noise = gauss(seconds)
    hertz = np.maximum(np.fft.rfftfreq(len(noise), 1 / CALL_RATE), 20)
    return np.asarray(np.fft.irfft(np.fft.rfft(noise) * gain(hertz), len(noise)))


def pink(seconds: float = 6) -> Sound:
    return coloured(seconds, lambda hertz: 1 / np.sqrt(hertz))


def breathing() -> Sound:
    air = coloured(6, lambda hertz: np.exp(-(np.log(hertz / 900) ** 2)))
    return np.asarray(air * np.maximum(0, np.sin(2 * np.pi * clock(6) / 3)))


def hum(hertz: float) -> Sound:
    t = clock(4)
    tones = [np.sin(2 * np.pi * hertz * n * t) / n for n in range(1, 12)]
    return np.asarray(np.sum(tones, axis=0))


def office() -> Sound:
    keys = typing()
    room = pink(len(keys) / CALL_RATE)[: len(keys)]
    return np.asarray(room / room.std() + 0.5 * keys / keys.std())


SOUNDS: dict[str, Callable[[], Sound]] = {
    "a melody of sines": lambda: melody(SINE),
    "a flute": lambda: melody(FLUTE),
    "a low flute": lambda: melody(FLUTE, down=12),
    "a clarinet": lambda: melody(CLARINET),
    "a trombone": lambda: melody(BRASS, down=12),
    "a cello": lambda: melody(STRINGS, down=12),
    "a piano": lambda: melody(PIANO, fading=0.25),
    "a piano's low keys": lambda: melody(PIANO, down=12, fading=0.3),
    "chords of sines": lambda: chords(SINE),
    "chords of an organ": lambda: chords(ORGAN),
    "chords of strings": lambda: chords(STRINGS),
    "chords of a piano": lambda: chords(PIANO, fading=0.6),
    "drums": drums,
    "a sweep up": lambda: sweep(100, 4000, 4),
    "a sweep down": lambda: sweep(4000, 100, 3),
    "dialling": dialling,
    "ringing": lambda: tones([(440, 480)] * 3, 1.0),
    "beeps": lambda: tones([(f, f) for f in (440, 620, 1000, 1400, 2000)], 0.5),
    "typing": typing,
    "a mouse": lambda: np.concatenate([struck(600, 3, 0.006)] * 8),
    "white noise": lambda: gauss(6),
    "pink noise": pink,
    "hum at 50 Hz": lambda: hum(50),
    "hum at 60 Hz": lambda: hum(60),
    "breathing": breathing,
    "an office": office,
    "silence": lambda: np.zeros(4 * CALL_RATE),
}


def at_level(sound: Sound, dbfs: float) -> Sound:
    """A sound made as loud as this, if it is any sound."""
    loudness = np.sqrt(np.mean(sound**2)) or 1
    return np.asarray(sound * 10 ** (dbfs / 20) / loudness)
