"""What responses are billed as, in OpenAI's tokens: an estimate, and what was told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offhook.events import Event

CHARS_PER_TOKEN = 4
MS_PER_TOKEN_IN = 100  # OpenAI's pricing page: one token per 100 ms heard
MS_PER_TOKEN_OUT = 50  # and one per 50 ms spoken

_MODALITIES = ("text", "audio", "image")
# More than any response has.
_MOST = 1e9


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


@dataclass
class Totals:
    """What all responses of a call were billed as, in tokens, by the upstream's words.

    Attributes:
        responses: How many there were.
        tokens: By their kind: `input_text`, `input_audio`, `input_image`,
            `cached_text`, `cached_audio`, `cached_image` (of the input), `output_text`,
            `output_audio`, and `transcription`.
        transcribed_seconds: Of the caller's speech, where transcription is billed so.
    """

    responses: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    transcribed_seconds: float = 0.0

    def take(self, event: Event) -> None:
        """Take a server event; those that bill something matter."""
        match event:
            case {"type": "response.done", "response": {"usage": dict(used)}}:
                self.responses += 1
                given = _object(used, "input_token_details")
                cached = _object(given, "cached_tokens_details")
                self._add("input", given)
                self._add("cached", cached)
                self._add("output", _object(used, "output_token_details"))
            case {
                "type": "conversation.item.input_audio_transcription.completed",
                "usage": {"type": "duration", "seconds": seconds},
            }:
                self.transcribed_seconds += _count(seconds)
            case {
                "type": "conversation.item.input_audio_transcription.completed",
                "usage": {"total_tokens": tokens},
            }:
                self._count("transcription", tokens)

    def as_json(self) -> dict[str, Any]:
        """Return them as a JSON object."""
        return asdict(self)

    def _add(self, side: str, details: dict[str, Any]) -> None:
        for kind in _MODALITIES:
            self._count(f"{side}_{kind}", details.get(f"{kind}_tokens"))

    def _count(self, kind: str, tokens: Any) -> None:
        if counted := int(_count(tokens)):
            self.tokens[kind] = self.tokens.get(kind, 0) + counted


def _count(value: Any) -> float:
    """Take a number that somebody sent, if it is one that can be meant."""
    if type(value) not in (int, float) or not 0 <= value <= _MOST:
        return 0
    return float(value)


def _object(value: dict[str, Any], key: str) -> dict[str, Any]:
    inner = value.get(key)
    return inner if isinstance(inner, dict) else {}
