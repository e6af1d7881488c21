"""The words of a text, as calls are found by them."""

from __future__ import annotations

import re
import unicodedata

# Han, kana and Thai are written without spaces: each sign is a word of its own.
_CLOSE = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CLOSE}]|[^\W{_CLOSE}]+")
_LONGEST = 64


def split(text: str) -> list[str]:
    """Split a text into words, without case, accents and what stands between them."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return [word[:_LONGEST] for word in _WORD.findall(bare)]
