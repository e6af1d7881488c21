from __future__ import annotations

from offhook.protocol.usage import text_tokens, usage


def test_usage_adds_up() -> None:
    used = usage(text_in="12345", text_out="1", audio_in_ms=1050, audio_out_ms=120)
    assert used["input_token_details"]["text_tokens"] == 2
    assert used["input_token_details"]["audio_tokens"] == 10
    assert used["output_token_details"] == {"text_tokens": 1, "audio_tokens": 2}
    assert (used["input_tokens"], used["output_tokens"]) == (12, 3)
    assert used["total_tokens"] == 15


def test_a_part_of_a_token_counts_as_one() -> None:
    assert [text_tokens(text) for text in ("", "1", "1234", "12345")] == [0, 1, 1, 2]
