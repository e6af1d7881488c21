"""What a response would have been billed as: an estimate, in OpenAI's tokens."""

from __future__ import annotations

from typing import Any

CHARS_PER_TOKEN = 4
MS_PER_TOKEN_IN = 100  # OpenAI's pricing page: one token per 100 ms heard
MS_PER_TOKEN_OUT = 50  # and one per 50 ms spoken


def text_tokens(text: str) -> int:
    """Estimate the tokens of a text."""
    return -(-len(text) // CHARS_PER_TOKEN)


def usage(
    *, text_in: str, text_out: str, audio_in_ms: int, audio_out_ms: int
) -> dict[str, Any]:
    """Return the `usage` of a response."""
    text = text_tokens(text_in)
    heard = audio_in_ms // MS_PER_TOKEN_IN
    spoken = audio_out_ms // MS_PER_TOKEN_OUT
    written = text_tokens(text_out)
    cached = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
    return {
        "total_tokens": text + heard + spoken + written,
        "input_tokens": text + heard,
        "output_tokens": spoken + written,
        "input_token_details": {
            "text_tokens": text,
            "audio_tokens": heard,
            "image_tokens": 0,
            "cached_tokens": 0,
            "cached_tokens_details": cached,
        },
        "output_token_details": {"text_tokens": written, "audio_tokens": spoken},
    }
