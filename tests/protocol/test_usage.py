from __future__ import annotations

from offhook.protocol.usage import Totals, text_tokens, usage


def test_usage_adds_up() -> None:
    used = usage(text_in="12345", text_out="1", audio_in_ms=1050, audio_out_ms=120)
    assert used["input_token_details"]["text_tokens"] == 2
    assert used["input_token_details"]["audio_tokens"] == 10
    assert used["output_token_details"] == {"text_tokens": 1, "audio_tokens": 2}
    assert (used["input_tokens"], used["output_tokens"]) == (12, 3)
    assert used["total_tokens"] == 15


def test_a_part_of_a_token_counts_as_one() -> None:
    assert [text_tokens(text) for text in ("", "1", "1234", "12345")] == [0, 1, 1, 2]


def test_what_was_transcribed_is_counted_by_its_kind() -> None:
    kind = "conversation.item.input_audio_transcription.completed"
    totals = Totals()
    totals.take({"type": kind, "usage": {"type": "duration", "seconds": 1.5}})
    totals.take({"type": kind, "usage": {"type": "tokens", "total_tokens": 12}})
    assert totals.transcribed_seconds == 1.5
    assert totals.tokens == {"transcription": 12}


def test_what_cannot_be_meant_is_not_counted() -> None:
    totals = Totals()
    odd = {"text_tokens": -1, "audio_tokens": True, "image_tokens": 10**30}
    used = {"input_token_details": odd, "output_token_details": []}
    totals.take({"type": "response.done", "response": {"usage": used}})
    assert totals.tokens == {}
