from __future__ import annotations

from offhook.protocol.turns import SpeechStarted, SpeechStopped, Turn, TurnDetector


def detect(
    *runs: tuple[int, float], silence_ms: int = 500, threshold: float = 0.5
) -> list[Turn]:
    detector = TurnDetector(threshold=threshold, silence_ms=silence_ms)
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


def test_a_sure_frame_is_enough_and_doubtful_ones_need_company() -> None:
    assert detect((5, 0.0), (1, 0.8)) == [SpeechStarted(5 * 32)]
    assert detect((5, 0.0), (2, 0.6), (5, 0.0), (2, 0.6), (40, 0.0)) == []
    assert detect((5, 0.0), (3, 0.6)) == [SpeechStarted(5 * 32)]


def test_the_higher_the_threshold_the_surer_it_has_to_be() -> None:
    assert detect((9, 0.85), threshold=0.9) == []
    assert detect((1, 0.95), threshold=0.9) == []
    assert detect((1, 0.97), threshold=0.9) == [SpeechStarted(0)]


def test_a_pause_shorter_than_the_silence_belongs_to_the_turn() -> None:
    assert detect((5, 1.0), (15, 0.0), (5, 1.0)) == [SpeechStarted(0)]
    assert len(detect((5, 1.0), (16, 0.0), (5, 1.0))) == 3


def test_speech_that_fades_is_still_speech() -> None:
    assert detect((5, 0.9), (60, 0.4)) == [SpeechStarted(0)]
    assert detect((60, 0.4)) == []
