"""What was said, written down in one way."""

from __future__ import annotations

from offhook.speech.numerals import digits


def plain(text: str) -> str:
    """Return words as one would compare them: who hears "fifty-six" may write 56."""
    return digits(text.lower().replace("-", " "))
