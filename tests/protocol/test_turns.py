from __future__ import annotations

from offhook.protocol.turns import SpeechStarted, SpeechStopped, Turn, TurnDetector


def detect(*runs: tuple[int, float], silence_ms: int = 500) -> list[Turn]:
    detector = TurnDetector(threshold=0.5, silence_ms=silence_ms)
    found = []
    at_ms = 0
    for frames, probability in runs:
        for _ in range(frames):
            at_ms += 32
            if turn := detector.hear(at_ms, probability):
                found.append(turn)
    return found


def test_a_turn_begins_with_its_first_loud_frame_and_ends_after_the_silence() -> None:
    assert detect((10, 0.0), (20, 1.0), (30, 0.0)) == [
        SpeechStarted(320),
        SpeechStopped(960 + 512),
    ]


def test_one_loud_frame_is_a_click() -> None:
    assert detect((5, 0.0), (1, 1.0), (5, 0.0), (1, 1.0), (40, 0.0)) == []


def test_a_pause_shorter_than_the_silence_belongs_to_the_turn() -> None:
    assert detect((5, 1.0), (15, 0.0), (5, 1.0)) == [SpeechStarted(0)]
    assert len(detect((5, 1.0), (16, 0.0), (5, 1.0))) == 3


def test_speech_that_fades_is_still_speech() -> None:
    assert detect((5, 0.9), (60, 0.4)) == [SpeechStarted(0)]
    assert detect((60, 0.4)) == []
