from __future__ import annotations

from offhook.protocol.input_audio import BYTES_PER_MS, InputAudio


def audio(ms: int, value: int) -> bytes:
    return bytes([value, 0]) * (ms * BYTES_PER_MS // 2)


def test_a_turn_is_taken_from_where_it_began() -> None:
    buffer = InputAudio()
    buffer.append(audio(100, 1) + audio(100, 2) + audio(100, 3))
    assert buffer.take(100, 200) == audio(100, 2)
    assert (buffer.end_ms, buffer.length_ms) == (300, 100)
    assert buffer.take(0, 300) == audio(100, 3)


def test_the_clock_goes_on_over_what_was_forgotten() -> None:
    buffer = InputAudio()
    buffer.append(audio(500, 1))
    buffer.clear()
    assert (buffer.end_ms, buffer.length_ms) == (500, 0)
    buffer.append(audio(10, 2))
    assert buffer.take(500, 510) == audio(10, 2)


def test_a_caller_who_never_commits_does_not_fill_the_memory() -> None:
    buffer = InputAudio()
    for _ in range(31):
        buffer.append(audio(10_000, 1))
    assert (buffer.end_ms, buffer.length_ms) == (310_000, 300_000)
